"""Canaries: a new revision's share of the traffic, and the evidence by which it grows or goes."""
