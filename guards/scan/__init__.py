"""Scanners that look for many rules in a text at once: by Hyperscan, or by RE2 where there is no Hyperscan."""
