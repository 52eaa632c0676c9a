"""The reach of a fetch: hosts by their names, and addresses inside a network only where the configuration says so.
Pure.

An address is *inside* where it is private, loopback, link-local (a cloud's metadata, too) or otherwise not of the
public Internet. Those are what a server must not be made to ask on a stranger's behalf (SSRF).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Addresses that look public and are not: Azure's host of every virtual machine.
_INSIDE = frozenset({ipaddress.ip_address("168.63.129.16")})
# Prefixes whose addresses carry an IPv4 address that the packets end up at. Source: RFC 6052, RFC 8215.
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class FetchReach:
    """The hosts and addresses that a fetch may connect to.

    `hosts`: names (`*.example.org`: all below it; `*`: all), at public addresses; `inside`: names, addresses and
    networks that may be inside, too; `proxies`: hosts of proxies, at any address; `origin`: a host that was typed by
    somebody who may reach whatever this machine does: where it is itself inside, so may be what it leads to;
    `anything_inside`: whether every address inside may be reached.
    """

    hosts: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    origin: str | None = None
    anything_inside: bool = False

    def knows(self, host: str) -> bool:
        """Whether a fetch may ask a host by that name, or at that address where `host` is one."""
        name = plain(host)
        if name in self.proxies:
            return True
        address = address_of(name)
        if address is not None and any(address in network for network in self._networks):
            return True
        return _is_among(name, self.hosts) or _is_among(name, self.inside)

    def permits(self, host: str, address: str) -> bool:
        """Whether a host that is known may be reached at `address`, an address in its usual form."""
        found = address_of(address)
        if found is None:
            return False
        name = plain(host)
        if not is_inside(found) or self.anything_inside:
            return True
        return (
            name in self.proxies or _is_among(name, self.inside) or any(found in network for network in self._networks)
        )

    def seen_from(self, addresses: Iterable[str]) -> "FetchReach":
        """Returns the reach once the origin's `addresses` are known."""
        found = [address_of(address) for address in addresses]
        return replace(self, anything_inside=any(address is not None and is_inside(address) for address in found))

    def to_json(self) -> dict[str, Any]:
        """Returns the reach in JSON's types."""
        return {
            "hosts": list(self.hosts),
            "inside": list(self.inside),
            "proxies": list(self.proxies),
            "origin": self.origin,
            "anything_inside": self.anything_inside,
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Self:
        """Rebuilds the reach that `to_json` wrote."""
        lists = {key: tuple(document[key]) for key in ("hosts", "inside", "proxies")}
        return cls(**lists, origin=document["origin"], anything_inside=document["anything_inside"])

    @property
    def _networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        found = (network_of(entry) for entry in self.inside)
        return tuple(network for network in found if network is not None)


NOWHERE = FetchReach()


def plain(host: str) -> str:
    """Returns `host` in the form in which hosts are compared: small letters, no brackets, no dot at its end, no
    zone."""
    return host.strip().strip("[]").partition("%")[0].rstrip(".").lower()


def address_of(text: str) -> Address | None:
    """Parses an address, or returns None. An IPv6 address that carries an IPv4 one is taken for that."""
    try:
        address = ipaddress.ip_address(plain(text))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is None and any(address in network for network in _NAT64):
            carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return carried or address
    return address


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Parses a network, or a single address, or returns None."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def is_inside(address: Address) -> bool:
    """Whether the address is none of the public Internet's."""
    return not address.is_global or address.is_multicast or address in _INSIDE


def _is_among(name: str, entries: Iterable[str]) -> bool:
    return any(
        entry == "*" or name == plain(entry) or (entry.startswith("*.") and name.endswith(entry[1:].lower()))
        for entry in entries
    )
