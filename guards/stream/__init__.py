"""Text that grows: what of it may be let go."""
