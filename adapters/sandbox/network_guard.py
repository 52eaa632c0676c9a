"""The network's guard within a confined process: every connection, by whichever library, is to a checked address.

A name is resolved once, the addresses are checked, and only those that pass are given on. Each connection is checked
again by Python's own audit hook, right before the system call. So no redirect and no second answer of a name server
leads elsewhere.
"""

import socket
import sys
from collections.abc import Mapping
from typing import Any, Self

from patchbay.adapters.sandbox.reach import NOWHERE, FetchReach

_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_STARTING = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.system"})


class ActionRefused(OSError):
    """The refusal of an address. Client libraries take it for a connection that failed."""


class Guard:
    """Holds this process to the hosts of `reach`. `refused`: whether it has tried any other."""

    def __init__(self, reach: FetchReach) -> None:
        self._reach = reach
        self._resolved: set[str] = set()
        self._resolve = socket.getaddrinfo
        self.refused = False

    @classmethod
    def of_json(cls, reach: Mapping[str, Any] | None) -> Self:
        """Builds the guard of `reach`; of nobody at all where that is None."""
        return cls(NOWHERE if reach is None else FetchReach.of_json(reach))

    def install(self) -> None:
        """Guards this process from now on: an audit hook cannot be taken out again."""
        if self._reach.origin is not None:
            self._reach = self._reach.seen_from(self._addresses(self._reach.origin))
        socket.getaddrinfo = self._checked_addresses
        sys.addaudithook(self._audit)

    def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            return tuple(str(info[4][0]) for info in self._resolve(host, None))
        except (OSError, UnicodeError):
            return ()

    def _checked_addresses(self, host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        """`socket.getaddrinfo`, without the addresses that may not be reached.

        Raises ActionRefused where none is left.
        """
        name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "localhost")
        if not self._reach.knows(name):
            raise self._refusal()
        found = self._resolve(host, port, *arguments, **options)
        found = [info for info in found if self._reach.permits(name, str(info[4][0]))]
        if not found:
            raise self._refusal()
        self._resolved.update(str(info[4][0]) for info in found)
        return found

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTING:
            address = arguments[1]
            if address is not None and not self._may_reach(address):
                raise self._refusal()
        elif event in _STARTING and self._reach == NOWHERE:
            raise self._refusal()

    def _may_reach(self, address: Any) -> bool:
        """Whether it is an Internet address that a permitted name stood for, or that may be named itself."""
        if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
            return False
        host = address[0]
        return host in self._resolved or (self._reach.knows(host) and self._reach.permits(host, host))

    def _refusal(self) -> ActionRefused:
        self.refused = True
        return ActionRefused("this address may not be reached")
