"""Fleet: the replicas and the model names that they serve, as one frozen snapshot."""
