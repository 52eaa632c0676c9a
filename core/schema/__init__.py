"""JSON schemas from untrusted sources: compiled under limits, and evaluated under a budget of steps."""
