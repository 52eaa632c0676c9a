"""Attacks, and what only looks like them, written by hand: what the detector makes of them is kept in a table."""
