"""Tenants: identification by key, limits and their counters, prices, and usage."""
