"""The commands `patchbay adapters …`: the registry and the artifact store from the command line."""
