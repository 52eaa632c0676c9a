"""The process: the router put together from its rooms, started, ended and told of signals."""
