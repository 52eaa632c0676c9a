"""Finding rules in text at once: Hyperscan, or RE2 where there is none."""
