"""Texts that the detector is trained and judged on: generated from templates, the same every time."""
