"""Filters around every answer: what goes in, what comes out, and what of a stream may be let go."""
