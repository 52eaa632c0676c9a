"""Data sets: from files to immutable revisions, checked, cleaned, split and mixed."""
