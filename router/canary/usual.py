"""What is usual: how long the stable arm's answers took, by size. What takes longer than 19 in 20 of them is slow."""

from bisect import insort
from collections import deque

_KEPT = 400
_LEAST = 40
_SLOW = 0.95


class Usual:
    """The last few hundred times of each kind and size. A limit is made of what was before, so that whoever comes next
    has the same chance to be above it in either arm."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], deque[float]] = {}
        self._sorted: dict[tuple[str, int], list[float]] = {}

    def is_slow(self, kind: str, size: int, seconds: float) -> bool | None:
        """Whether `seconds` is above the usual limit for a prompt of `size` bytes, None where too little is known."""
        values = self._sorted.get((kind, size.bit_length()), [])
        if len(values) < _LEAST:
            return None
        return seconds > values[int(len(values) * _SLOW)]

    def note(self, kind: str, size: int, seconds: float) -> None:
        """Notes a time of the stable arm."""
        key = kind, size.bit_length()
        seen = self._seen.setdefault(key, deque())
        ordered = self._sorted.setdefault(key, [])
        seen.append(seconds)
        insort(ordered, seconds)
        if len(seen) > _KEPT:
            ordered.remove(seen.popleft())
