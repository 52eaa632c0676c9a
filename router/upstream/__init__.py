"""HTTP/1.1 client for replicas: pooled connections, and the one place where their errors become `ReplicaFailure`."""
