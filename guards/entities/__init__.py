"""Entities: persons, places, dates and organisations, which no rule describes, and what finds them in a text."""
