"""Answers in the wire formats, with every text in them put through guards."""
