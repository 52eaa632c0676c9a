"""Admission: gives requests their turns at replicas, fairly between tenants and sparing of adapter slots."""
