"""The callers of a canary's evidence: one per key, or one per address where there are no keys, whatever names their
clients give. Pure.

The name that a client gives itself (a session, a user) decides which of its requests stay together, and nothing else:
the owner of one key may invent any number of names. So each name belongs to its key, and evidence is bounded by key.
"""

import ipaddress
from collections import Counter

# A caller is one of several once others have sent this many requests, and at least one in _PART of all.
_LEAST, _PART = 20, 50
_MOST = 10_000
_END = b"\0"


def named(name: bytes, caller: bytes) -> bytes:
    """Returns the unique form of the client's own `name`, which is valid only within its `caller`."""
    return name + _END + caller


def caller_of(name: bytes) -> bytes:
    """Returns the caller of a `name` that `named` has made. Any other name is a caller of its own."""
    return name.rpartition(_END)[2]


def address_caller(address: str) -> bytes:
    """Returns the caller for an address: the address itself, or for IPv6 its /64 network, since one client may own all
    of that."""
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
    """Counts the requests of each caller that one router has seen."""

    def __init__(self) -> None:
        self._requests: Counter[bytes] = Counter()
        self._all = 0

    def asked(self, caller: bytes) -> None:
        """Adds a request of `caller`."""
        self._all += 1
        if caller in self._requests or len(self._requests) < _MOST:
            self._requests[caller] += 1

    def is_shared_by(self, caller: bytes) -> bool:
        """Whether callers other than `caller` ask so often that none alone may decide anything."""
        others = self._all - self._requests[caller]
        return others >= _LEAST and others * _PART >= self._all

    def callers(self, most: int) -> int:
        """Counts the callers who send a relevant part of all requests: at least one, and at most `most`."""
        found = 0
        for requests in self._requests.values():
            found += requests * _PART >= self._all
            if found >= most:
                break
        return max(found, 1)

    @property
    def size(self) -> int:
        """The number of callers, at least one."""
        return max(len(self._requests), 1)
