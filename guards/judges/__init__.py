"""Judges: guards that ask a model on the same engine, a service, or a plug-in of yours for a verdict."""
