"""The settings: a router's configuration, how it is read, and what changes of it while the router runs."""
