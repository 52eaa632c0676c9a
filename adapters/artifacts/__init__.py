"""The artifact store: files by their SHA-256, wherever fsspec can put them, and a replica's verified copies of them."""
