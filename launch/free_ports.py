"""The ports of a run: those that somebody chose stay, and defaults that are taken give way to the next free ones."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from patchbay.core.errors import StartError
from patchbay.core.port_owner import whose_port
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.ports import PortUse, check_ports

_FARTHEST: Final = 200
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ChosenPorts:
    """The configuration with its ports, and what is to be said of those that are others than usual."""

    config: PatchbayConfig
    notes: tuple[str, ...] = ()


def choose_ports(config: PatchbayConfig) -> ChosenPorts:
    """Returns `config` with free ports in place of defaults that are taken. Those that the file or the command line
    names stay as they are. Raises StartError where there is no free one near."""
    router, replicas, notes = config.router, config.replicas, list[str]()
    # A port that is usual for one is not given to another, which would have to give way, too.
    used = Counter((router.port, router.admin_port, *config.replica_ports))
    for key, host, what in (
        ("port", router.host, "clients"),
        ("admin_port", router.admin_host, "operators"),
    ):
        if key not in router.model_fields_set:
            usual = getattr(router, key)
            used[usual] -= 1
            free = _first_free(host, usual, 1, +used)
            router = router.model_copy(update={key: free})
            notes += _said(usual, free, f"the port for {what}")
            used[free] += 1
    if "first_port" not in replicas.model_fields_set:
        used.subtract(config.replica_ports)
        free = _first_free(_LOOPBACK, replicas.first_port, config.replica_count, +used)
        notes += _said(replicas.first_port, free, "the first replica's port")
        replicas = replicas.model_copy(update={"first_port": free})
    return ChosenPorts(config.model_copy(update={"router": router, "replicas": replicas}), tuple(notes))


def _first_free(host: str, usual: int, count: int, used: Collection[int]) -> int:
    """Returns the first of `count` ports in a row, from `usual` on, that are free at `host` and not `used`."""
    for first in range(usual, min(usual + _FARTHEST, 65536 - count)):
        ports = range(first, first + count)
        if not any(port in used for port in ports) and _are_free(host, ports):
            return first
    raise StartError(
        f"Port {usual} on {host} is taken{whose_port(usual)}, and so are those after it.",
        hint="Name free ones: --port, --admin-port and --first-port.",
    )


def _are_free(host: str, ports: range) -> bool:
    try:
        check_ports(PortUse(host, port, "") for port in ports)
    except StartError:
        return False
    return True


def _said(usual: int, chosen: int, what: str) -> Iterator[str]:
    if chosen != usual:
        yield f"port {usual} is taken{whose_port(usual)}: {what} is {chosen}"
