"""The adapters' side of Patchbay: digests, checks, sources, the artifact store and the demo's models. Imports neither
the server nor the router."""
