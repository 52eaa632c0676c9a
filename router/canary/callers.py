"""The callers of a canary's evidence: a key each, or an address where there are no keys, whatever their clients say.

What a client calls itself (a session, a user) says which of its requests stay together, and no more: who shows one key
may invent any number of names. So each name goes with its key, and evidence is bounded by key. Pure.
"""

import ipaddress
from collections import Counter

# So many requests of others, and so large a part of all, make a caller one of several.
_LEAST, _PART = 20, 50
_MOST = 10_000
_END = b"\0"


def named(name: bytes, caller: bytes) -> bytes:
    """Makes the name of what a client calls `name`, which is one only within its `caller`."""
    return name + _END + caller


def caller_of(name: bytes) -> bytes:
    """Returns the caller of a `name` that `named` has made; any other name is a caller of its own."""
    return name.rpartition(_END)[2]


def address_caller(address: str) -> bytes:
    """Returns what stands for whoever asks from `address`: itself, and of IPv6 the network of 64 bits, which one client
    may have all of."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return b"address:" + address.encode()
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return b"address:" + str(found.ipv4_mapped).encode()
        return b"address:" + str(ipaddress.ip_network((found, 64), strict=False)).encode()
    return b"address:" + str(found).encode()


class Crowd:
    """The callers that one router has seen ask, and how often."""

    def __init__(self) -> None:
        self._requests: Counter[bytes] = Counter()
        self._all = 0

    def asked(self, caller: bytes) -> None:
        """Notes a request of `caller`."""
        self._all += 1
        if caller in self._requests or len(self._requests) < _MOST:
            self._requests[caller] += 1

    def is_shared_by(self, caller: bytes) -> bool:
        """Whether others than `caller` ask so much that one caller alone decides nothing."""
        others = self._all - self._requests[caller]
        return others >= _LEAST and others * _PART >= self._all

    def callers(self, most: int) -> int:
        """Returns how many ask a part of all that counts: `most` where there are more, and one at least."""
        found = 0
        for requests in self._requests.values():
            found += requests * _PART >= self._all
            if found >= most:
                break
        return max(found, 1)

    @property
    def size(self) -> int:
        """How many callers there are, one at least."""
        return max(len(self._requests), 1)
