"""Drawing lots by a hash: the same for the same caller, on every router. Pure."""

from hashlib import blake2b

_SPAN = 2.0**64


def uniform(salt: str, caller: bytes) -> float:
    """A number from 0 to 1, both excluded, the same for the same caller. `salt` keeps the draws for several ends
    apart."""
    return unit(blake2b(salt.encode() + b"\0" + caller, digest_size=8).digest())


def unit(digest: bytes) -> float:
    """Eight bytes as a number from 0 to 1, both excluded: neither has a logarithm that is of use."""
    return (int.from_bytes(digest, "big") + 0.5) / (_SPAN + 1)
