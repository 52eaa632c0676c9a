"""Amounts of money in whole numbers, so that sums are exact. They are rounded once, where a sum is kept or shown.

Stored amounts are billionths of the currency. Prices of a token are trillionths: a price for a million tokens may have
six decimals.
"""

from decimal import Decimal

BILLION = 1_000_000_000
TRILLION = 1_000_000_000_000
# The number of trillionths in a billionth.
PARTS = TRILLION // BILLION


def decimal(billionths: int) -> Decimal:
    """Converts an amount to the currency, exactly."""
    return Decimal(billionths).scaleb(-9)


def plain(billionths: int) -> str:
    """Formats an amount in the currency, with two decimal places at least: `0.00`, `12.50`, `0.000000004`."""
    whole, _, places = f"{decimal(billionths):.9f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
