"""Data that the classifier is trained and evaluated on: texts generated from templates, the same every time."""
