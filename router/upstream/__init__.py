"""Replicas over HTTP/1.1: pooled connections, and the one place where their errors become ours."""
