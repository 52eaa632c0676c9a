"""The replicas and the names that they answer to, as one frozen snapshot."""
