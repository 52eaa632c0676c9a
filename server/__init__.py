"""One replica: vLLM's engine in this process, slots for adapters, and an HTTP application that serves chosen paths."""
