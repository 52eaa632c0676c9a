"""Random draws by a hash: the same for the same caller, on every router. Pure."""

from hashlib import blake2b

_SPAN = 2.0**64


def uniform(salt: str, caller: bytes) -> float:
    """Returns a number from 0 to 1, both excluded, the same for the same caller. `salt`: separates draws for different
    purposes."""
    return unit(blake2b(salt.encode() + b"\0" + caller, digest_size=8).digest())


def unit(digest: bytes) -> float:
    """Turns eight bytes into a number from 0 to 1, both excluded, since callers take its logarithm."""
    return (int.from_bytes(digest, "big") + 0.5) / (_SPAN + 1)
