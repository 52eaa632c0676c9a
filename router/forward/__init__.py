"""Forwarding of requests to replicas: who is asked, in which order, and what happens where one fails."""
