"""Mutation testing: changes the code of a room, one spot at a time, and sees whether the room's own tests notice."""
