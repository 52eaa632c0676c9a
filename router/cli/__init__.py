"""The commands of the router: serve, routes, guards, costs and canaries."""
