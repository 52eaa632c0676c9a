"""Baseline of the stable arm: the usual times and lengths of its answers, by size of prompt. Usual is up to the 95th
percentile."""

from bisect import insort
from collections import deque

_KEPT = 400
_LEAST = 40
_USUAL = 0.95


class Baseline:
    """Keeps the last few hundred values of each kind and size.

    A limit is made of earlier values only, so the next request has the same chance to be above it in either arm.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], deque[float]] = {}
        self._sorted: dict[tuple[str, int], list[float]] = {}

    def is_above(self, kind: str, size: int, value: float) -> bool | None:
        """Whether `value` is above the usual for a prompt of `size` bytes, None where too few values are known."""
        values = self._sorted.get((kind, size.bit_length()), [])
        if len(values) < _LEAST:
            return None
        return value > values[int(len(values) * _USUAL)]

    def note(self, kind: str, size: int, value: float) -> None:
        """Adds a value of the stable arm."""
        # Prompts within a factor of two are alike: finer classes would take long to fill.
        key = kind, size.bit_length()
        seen = self._seen.setdefault(key, deque())
        ordered = self._sorted.setdefault(key, [])
        seen.append(value)
        insort(ordered, value)
        if len(seen) > _KEPT:
            ordered.remove(seen.popleft())
