"""Named signals of attacks, by what they are about."""
