"""Tools for this repository alone, which are not part of the package: pages and files that are made from the code."""
