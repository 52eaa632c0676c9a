"""The structure of the code in figures: rooms, imports between them, floors, circles, sizes, docstrings and names."""
