"""Responses that clients have kept: what is read of a request and an answer, the conversation that one goes on from."""
