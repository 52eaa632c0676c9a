"""The faults of what Patchbay stands on, made on purpose under load, and checks that the protections hold."""
