"""The gateway: picks an adapter and a replica for each request, and streams the answer back."""
