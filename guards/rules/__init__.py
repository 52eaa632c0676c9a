"""Rules that guards look for: patterns with validators, by topic."""
