"""The registry: adapters, their immutable revisions, the channels that say which one a name means."""
