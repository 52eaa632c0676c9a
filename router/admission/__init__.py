"""Whose turn it is: fair between tenants, and kind to adapter slots."""
