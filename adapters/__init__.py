"""What an adapter is: names, digests, checks, the demo's models. Imports neither the server nor the router."""
