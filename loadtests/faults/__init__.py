"""Faults of what Patchbay stands on, made on purpose under load, and checks that what protects holds."""
