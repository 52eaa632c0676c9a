"""The backups: the registry and its artifacts in a folder, checked, and restored from there."""
