"""Replica discovery: which replicas there are, and what each says of itself."""
