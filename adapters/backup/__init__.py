"""Backups: the registry and its artifacts in a folder, checked, and put back from there."""
