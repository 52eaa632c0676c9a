"""Whether something happens for the first time: in memory that does not grow.

A Bloom filter: B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13(7), 1970. Who is
wrongly taken for seen is not counted, which does not depend on the arm, so that what is counted stays honest.
"""

from hashlib import blake2b

_PROBES = 4


class Once:
    """`bits`: a power of two; by default a million things at an error of 3%, in a mebibyte."""

    def __init__(self, bits: int = 1 << 23) -> None:
        self._mask = bits - 1
        self._bits = bytearray(bits >> 3)

    def is_first(self, what: bytes) -> bool:
        """Whether `what` comes for the first time; it is known from now on."""
        digest = blake2b(what, digest_size=4 * _PROBES).digest()
        new = False
        for probe in range(_PROBES):
            place = int.from_bytes(digest[4 * probe : 4 * probe + 4], "big") & self._mask
            byte, bit = place >> 3, 1 << (place & 7)
            new = new or not self._bits[byte] & bit
            self._bits[byte] |= bit
        return new
