"""Validators of addresses of cryptocurrencies. Pure.

Source: Bitcoin's base58check; BIP 173 and BIP 350 (bech32, bech32m).
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# What a right checksum leaves over: of version 0, and of those after it.
_REMAINDERS: Final = (1, 0x2BC830A3)
_BYTES: Final = 25


def base58_address(text: str) -> bool:
    """Checks an address by the four bytes of its double SHA-256."""
    number = 0
    for char in text:
        place = _BASE58.find(char)
        if place < 0:
            return False
        number = number * 58 + place
    if number.bit_length() > 8 * _BYTES:
        return False
    data = number.to_bytes(_BYTES, "big")
    return sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32_address(text: str) -> bool:
    """Checks an address by its six characters of BCH code; it is all in small letters, or all in capitals."""
    if text not in (text.lower(), text.upper()):
        return False
    human, _, data = text.lower().rpartition("1")
    if any(char not in _BECH32 for char in data):
        return False
    spread = [*(ord(char) >> 5 for char in human), 0, *(ord(char) & 31 for char in human)]
    return _remainder([*spread, *map(_BECH32.index, data)]) in _REMAINDERS


def _remainder(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check
