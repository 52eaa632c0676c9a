"""Continuation of a broken stream on another replica, from the tokens that the client has already."""
