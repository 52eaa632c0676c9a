"""Money in whole numbers, so that sums are exact: it is rounded once, where a sum is kept or shown, and never before.

What is kept are billionths of the currency, what a token costs are trillionths: a price for a million tokens may have
six decimals.
"""

from decimal import Decimal

BILLION = 1_000_000_000
TRILLION = 1_000_000_000_000
# Trillionths in a billionth.
PARTS = TRILLION // BILLION


def decimal(billionths: int) -> Decimal:
    """An amount in the currency, exact."""
    return Decimal(billionths).scaleb(-9)


def plain(billionths: int) -> str:
    """An amount in the currency as decimals, with two places at least: `0.00`, `12.50`, `0.000000004`."""
    whole, _, places = f"{decimal(billionths):.9f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
