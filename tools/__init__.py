"""Tools for this repository alone, not part of the package: they generate pages and files from the code."""
