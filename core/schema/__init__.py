"""JSON schemas from people nobody vouches for: compiled under limits, and held to values under a budget of steps."""
