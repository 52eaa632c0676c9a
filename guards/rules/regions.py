"""The regions of telephone numbers that are looked for where a configuration names none."""

from typing import Final

# By ISO 3166.
DEFAULT_REGIONS: Final = ("US", "GB", "DE", "FR", "ES", "IT", "IL", "IN", "BR", "CA", "AU", "NL")
