"""Replica discovery: static list, DNS name or registry."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from patchbay.core.errors import RegistryError
from patchbay.core.thread_pools import Threads
from patchbay.registry.records import ReplicaAddress
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Replica
from patchbay.router.settings.config import REGISTRY, ReplicaConfig, RouterConfig
from patchbay.router.upstream.client import ReplicaClient
from patchbay.router.upstream.link import Link

_log = logging.getLogger("patchbay.router")
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
Listed = Callable[[], Sequence[ReplicaAddress]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Replica that was discovered. `token`: the bearer token that it expects; `pool`: the name that routes ask for."""

    name: str
    url: str
    token: str | None
    pool: str = "default"


def members_of(
    entries: Sequence[ReplicaConfig], addresses: Mapping[str, Sequence[str]], listed: Sequence[ReplicaAddress] = ()
) -> tuple[Member, ...]:
    """Returns the replicas that `entries` of the configuration stand for. Pure.

    `addresses`: those of DNS names, by the entry's URL; `listed`: the replicas that the registry knows.
    """
    members: dict[str, Member] = {}
    for entry in entries:
        token = entry.token.get_secret_value() if entry.token else None
        if not entry.discovered:
            members.setdefault(entry.label, Member(name=entry.label, url=entry.url, token=token, pool=entry.pool))
            continue
        if entry.url == REGISTRY:
            for replica in listed:
                members.setdefault(
                    replica.name, Member(name=replica.name, url=replica.url, token=token, pool=entry.pool)
                )
            continue
        parts = urlsplit(entry.url)
        for address in sorted(set(addresses.get(entry.url, ()))):
            host = f"[{address}]" if ":" in address else address
            name = f"{host}:{parts.port or 80}"
            members.setdefault(name, Member(name=name, url=f"http://{name}{parts.path}", token=token, pool=entry.pool))
    return tuple(members.values())


class Members:
    """Discovery loop: keeps the fleet and the connections to the replicas that exist now. Open it with `async with`.

    `links`: the ways to the replicas, by name, with those that have gone as long as something is under way there.
    `lookup`: gives the addresses of a host name and port; where it raises OSError, the last ones stay. `listed`: gives
    the registry's replicas; where it raises RegistryError, the last ones stay. `on_stray`: called with the name of a
    replica that sends bytes after the end of an answer.
    """

    def __init__(
        self,
        config: RouterConfig,
        fleet: Fleet,
        lookup: Lookup | None = None,
        listed: Listed | None = None,
        *,
        on_stray: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._lookup = lookup or _resolve
        self._listed = listed
        self._on_stray = on_stray
        self._threads = Threads("members", 1)
        self._addresses: dict[str, Sequence[str]] = {}
        self._registered: Sequence[ReplicaAddress] = ()
        self._members: tuple[Member, ...] = ()
        self._retired: list[Link] = []
        self._open = False
        self.links: dict[str, Link] = {}
        self._update()

    async def __aenter__(self) -> Self:
        self._open = True
        for link in self.links.values():
            link.client.start()
        await self.look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for link in [*self.links.values(), *self._retired]:
            await link.client.close()

    async def run(self) -> None:
        """Discovers replicas, again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._config.dns_interval_s)
            await self.look()

    async def look(self) -> None:
        """Discovers replicas once, and closes the connections to those that have gone."""
        for entry in self._config.replicas:
            if entry.url == REGISTRY:
                await self._ask_registry()
            elif entry.discovered:
                await self._look_up(entry.url)
        self._update()
        # A link stays while requests are under way there. It is closed at the look that finds it idle.
        for name in self.links.keys() - {member.name for member in self._members}:
            if not self.links[name].client.busy:
                self._retired.append(self.links.pop(name))
        for link in [link for link in self._retired if not link.client.busy]:
            self._retired.remove(link)
            await link.client.close()

    async def _look_up(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            self._addresses[url] = await self._lookup(parts.hostname or "", parts.port or 80)
        except OSError as error:
            # The last addresses stay: replicas that work do not need the name.
            _log.warning("cannot look up %s: %s", parts.hostname, error.strerror or error)

    async def _ask_registry(self) -> None:
        if self._listed is None:
            return
        try:
            self._registered = await self._threads.run(self._listed)
        except RegistryError as error:
            _log.warning("cannot ask the registry for its replicas: %s", error)

    def _update(self) -> None:
        members = members_of(self._config.replicas, self._addresses, self._registered)
        if members == self._members:
            return
        unchanged = {member.name for member in set(self._members) & set(members)}
        changed = {member.name for member in self._members} - unchanged
        for member in members:
            if member.name in changed:
                self._retired.append(self.links.pop(member.name))
            if member.name not in self.links:
                self.links[member.name] = self._link(member)
        self._members = members
        reserved = self._config.canary.reserved_pools
        self._fleet.put_members(
            [
                Replica(name=member.name, url=member.url, pool=member.pool, reserved=member.pool in reserved)
                for member in members
            ]
        )

    def _link(self, member: Member) -> Link:
        client = ReplicaClient(
            member.url,
            connect_timeout_s=self._config.connect_timeout_s,
            read_timeout_s=self._config.read_timeout_s,
            on_stray=partial(self._on_stray, member.name),
        )
        if self._open:
            client.start()
        return Link(client, member.token)


async def _resolve(host: str, port: int) -> Sequence[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in infos]
