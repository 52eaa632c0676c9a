"""Named signals of attacks, grouped by topic."""
