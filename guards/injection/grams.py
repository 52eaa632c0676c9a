"""Hashed n-grams of a text, as numbers of the columns of the classifier's weights.

There are runs of 2 to 5 characters and runs of 1 to 3 words. Each is placed at the character that it begins with, so
that the n-grams of a window are a slice, or a difference of running sums.

Sources: the multipliers are those of D. Knuth (The Art of Computer Programming 3, 6.4) and of FNV; the hash of a word
is R. Karp and M. Rabin's, from running sums, modulo 2^32.
"""

from typing import Any, Final

import numpy as np

# Lengths of n-grams, in characters and in words; they are hashed to so many bits.
_SIZES: Final = (2, 3, 4, 5)
_WORDS: Final = 3
_BITS: Final = 18
GRAMS: Final = 2**_BITS
# The hash of an n-gram that is the same as the one before it: its weight is 0.
REPEATED: Final = 0
_SPREAD, _PRIME = np.uint32(2654435761), np.uint32(16777619)
_INVERSE = np.uint32(pow(int(_PRIME), -1, 2**32))
# Added to the hashes of words, so that they are not those of the same characters.
_WORD_SALT = np.uint32(0x9E3779B9)
# Characters beyond ASCII that are no part of a word: general, Chinese and full-width punctuation.
_GAPS: Final = ((0x80, 0xBF), (0x2000, 0x206F), (0x3000, 0x303F), (0xFF00, 0xFF0F), (0xFF1A, 0xFF20))
_ASCII_WORD = np.array([chr(code).isalnum() for code in range(128)])


def grams(plain: str) -> tuple[Any, Any]:
    """Returns the places and the hashes of all n-grams of a text that was made `plain`, in no order. A run of one
    n-gram counts once."""
    chars = _characters(plain)
    by_size = [*_runs(chars), *_word_runs(chars)]
    places = np.concatenate([places for places, _ in by_size])
    return places, np.concatenate([hashes for _, hashes in by_size])


def _characters(plain: str) -> Any:
    spaced = f" {plain} ".replace("\n", " ")
    return np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _runs(chars: Any) -> list[tuple[Any, Any]]:
    by_size, rolling = [], np.zeros(len(chars), dtype=np.uint32)
    for size in range(1, min(max(_SIZES), len(chars)) + 1):
        rolling = rolling[: len(chars) - size + 1] * _PRIME + chars[size - 1 :]
        if size in _SIZES:
            by_size.append((np.arange(len(rolling)), _folded(rolling)))
    return by_size


def _word_runs(chars: Any) -> list[tuple[Any, Any]]:
    inside = np.concatenate(([False], _in_words(chars), [False]))
    starts = np.flatnonzero(inside[1:-1] & ~inside[:-2])
    ends = np.flatnonzero(inside[1:-1] & ~inside[2:]) + 1
    if not len(starts):
        return []
    sums = np.concatenate((np.zeros(1, np.uint32), np.cumsum(chars * _powers(_PRIME, len(chars)), dtype=np.uint32)))
    words = (sums[ends] - sums[starts]) * _powers(_INVERSE, len(chars))[starts] + _WORD_SALT
    by_size, rolling = [], np.zeros(len(words), dtype=np.uint32)
    for size in range(1, min(_WORDS, len(words)) + 1):
        rolling = (rolling[: len(words) - size + 1] ^ words[size - 1 :]) * _PRIME
        by_size.append((starts[: len(rolling)], _folded(rolling)))
    return by_size


def _in_words(chars: Any) -> Any:
    inside = chars >= 128
    inside[~inside] = _ASCII_WORD[chars[~inside]]
    for first, last in _GAPS:
        inside &= (chars < first) | (chars > last)
    return inside


def _powers(base: np.uint32, length: int) -> Any:
    factors = np.full(length, base, dtype=np.uint32)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint32)


def _folded(rolling: Any) -> Any:
    hashes = ((rolling * _SPREAD) >> np.uint32(32 - _BITS)).astype(np.intp)
    hashes[1:][rolling[1:] == rolling[:-1]] = REPEATED
    return hashes
