"""A check that the ports are free, made before anything is started that takes long."""

import errno
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from patchbay.core.errors import StartError
from patchbay.core.port_owner import whose_port


@dataclass(frozen=True, slots=True)
class PortUse:
    """A port that will be listened on. `setting`: the setting to change where the port is not free, in words."""

    host: str
    port: int
    setting: str


def check_ports(uses: Iterable[PortUse]) -> None:
    """Raises StartError for the first port that cannot be listened on; it says what to change.

    All sockets stay open until the end, so that a port that is used twice is found, too.
    """
    with ExitStack() as sockets:
        for use in uses:
            for bound in _listen(use):
                sockets.enter_context(bound)


def _listen(use: PortUse) -> list[socket.socket]:
    """Opens sockets that listen on the port, at each of the host's addresses."""
    try:
        addresses = socket.getaddrinfo(use.host, use.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_listen_at(family, address) for family, _, _, _, address in dict.fromkeys(addresses)]
    except OSError as error:
        raise StartError(_describe(use, error), hint=f"Set {use.setting} to another.") from error


def _listen_at(family: int, address: tuple[str | int, ...] | tuple[int, bytes]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


def _describe(use: PortUse, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"There is no host '{use.host}' here."
    if error.errno == errno.EADDRINUSE:
        return f"Port {use.port} on {use.host} is taken{whose_port(use.port)}."
    if error.errno == errno.EACCES:
        return f"Port {use.port} is only for privileged processes."
    return f"Cannot listen on {use.host} port {use.port}: {error.strerror}."
