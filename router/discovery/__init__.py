"""Replica discovery: the list of replicas, and the polling of each one's status."""
