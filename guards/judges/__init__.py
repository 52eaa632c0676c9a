"""Guards that ask somebody else: a model on the same engine, a service, a plug-in of yours."""
