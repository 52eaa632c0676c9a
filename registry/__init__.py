"""The registry: adapters, their immutable revisions, and the channels that decide which revision a name means."""
