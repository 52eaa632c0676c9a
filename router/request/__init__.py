"""A client's request from the moment it was read to its answer and its record."""
