"""A memory of past events that does not grow.

A Bloom filter: B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13(7), 1970. An event
that it wrongly takes for known is not counted; that does not depend on the arm, so the counts stay honest.
"""

import math
from hashlib import blake2b

_PROBES = 4
_LEAST_BITS, _MOST_BITS = 1 << 16, 1 << 26


class BloomFilter:
    """Remembers keys. It errs with a probability of at most `error` for up to `things` different ones.

    It takes from 8 KiB to 8 MiB; where that is too little it errs more often, as its own `error` says.
    """

    def __init__(self, things: int = 1_000_000, error: float = 0.01) -> None:
        # By k probes into m bits a filter of n things errs with (1 - exp(-k n / m))^k.
        wanted = -_PROBES * things / math.log(1 - error ** (1 / _PROBES))
        bits = min(max(1 << math.ceil(math.log2(wanted)), _LEAST_BITS), _MOST_BITS)
        self._mask = bits - 1
        self._set = 0
        self._bits = bytearray(bits >> 3)

    @property
    def error(self) -> float:
        """The probability, now, that a new key is taken for a known one."""
        return float((self._set / (self._mask + 1)) ** _PROBES)

    def is_first(self, key: bytes) -> bool:
        """Whether `key` comes for the first time. It is known from now on."""
        new = False
        for place in self._places(key):
            byte, bit = place >> 3, 1 << (place & 7)
            if not self._bits[byte] & bit:
                new = True
                self._bits[byte] |= bit
                self._set += 1
        return new

    def knows(self, key: bytes) -> bool:
        """Whether `key` has come before."""
        return all(self._bits[place >> 3] & 1 << (place & 7) for place in self._places(key))

    def _places(self, key: bytes) -> tuple[int, ...]:
        digest = int.from_bytes(blake2b(key, digest_size=4 * _PROBES).digest(), "big")
        return tuple(digest >> 32 * probe & self._mask for probe in range(_PROBES))
