"""The conformance run: what the usual clients do first, on the demo, each in an environment of its own."""
