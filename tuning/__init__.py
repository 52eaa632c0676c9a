"""The tuning side of Patchbay: bases, data sets, training, parity, and the demo's models, which are made by it. Neither
the server nor the router imports it."""
