"""Carrying a broken stream on, on another replica, from the tokens that the client has already."""
