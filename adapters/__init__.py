"""The adapters' side of Patchbay: digests, checks, sources and the artifact store. Imports neither the server nor the
router."""
