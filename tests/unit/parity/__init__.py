"""Parity: whether what serves answers as what was trained."""
