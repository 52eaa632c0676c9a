"""Which replicas there are: those that the configuration lists, and those that its names have in DNS, or the registry
knows, now."""

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
from patchbay.router.config import REGISTRY, ReplicaConfig, RouterConfig
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Replica
from patchbay.router.upstream.client import ReplicaClient
from patchbay.router.upstream.link import Link

_log = logging.getLogger("patchbay.router")
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
Listed = Callable[[], Sequence[ReplicaAddress]]


@dataclass(frozen=True, slots=True)
class Member:
    """One replica. `token`: what it wants to see; `pool`: what routes ask for."""

    name: str
    url: str
    token: str | None
    pool: str = "default"


def members_of(
    entries: Sequence[ReplicaConfig], found: Mapping[str, Sequence[str]], listed: Sequence[ReplicaAddress] = ()
) -> tuple[Member, ...]:
    """The replicas that `entries` stand for, where names in DNS have the addresses `found`, by url, and the registry
    has those `listed`. Pure."""
    members: dict[str, Member] = {}
    for entry in entries:
        token = entry.token.get_secret_value() if entry.token else None
        if not entry.discovered:
            members.setdefault(entry.label, Member(entry.label, entry.url, token, entry.pool))
            continue
        if entry.url == REGISTRY:
            for one in listed:
                members.setdefault(one.name, Member(one.name, one.url, token, entry.pool))
            continue
        parts = urlsplit(entry.url)
        for address in sorted(set(found.get(entry.url, ()))):
            place = f"[{address}]" if ":" in address else address
            name = f"{place}:{parts.port or 80}"
            members.setdefault(name, Member(name, f"http://{name}{parts.path}", token, entry.pool))
    return tuple(members.values())


class Members:
    """Keeps the fleet and the connections to what the configuration means now. Open it with `async with`.

    `links`: the ways to the replicas, those that have gone included as long as something is under way there.
    `lookup`: gives the addresses of a name and port; raises OSError where they cannot be had, and the last ones stay.
    `listed`: gives the registry's replicas; raises RegistryError, and the last ones stay. `strayed`: is told who went
    on after the end of an answer.
    """

    def __init__(
        self,
        config: RouterConfig,
        fleet: Fleet,
        lookup: Lookup | None = None,
        listed: Listed | None = None,
        *,
        strayed: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._lookup = lookup or _resolve
        self._listed = listed
        self._strayed = strayed
        self._threads = Threads("members", 1)
        self._found: dict[str, Sequence[str]] = {}
        self._known: Sequence[ReplicaAddress] = ()
        self._members: tuple[Member, ...] = ()
        self._retired: list[Link] = []
        self._open = False
        self.links: dict[str, Link] = {}
        self._put()

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
        """Looks names up, again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._config.dns_interval_s)
            await self.look()

    async def look(self) -> None:
        """Looks the names up once, and closes the connections to replicas that have gone."""
        for entry in self._config.replicas:
            if entry.url == REGISTRY:
                await self._ask_registry()
            elif entry.discovered:
                await self._look_up(entry.url)
        self._put()
        for name in self.links.keys() - {member.name for member in self._members}:
            if not self.links[name].client.busy:
                self._retired.append(self.links.pop(name))
        for link in [link for link in self._retired if not link.client.busy]:
            self._retired.remove(link)
            await link.client.close()

    async def _look_up(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            self._found[url] = await self._lookup(parts.hostname or "", parts.port or 80)
        except OSError as error:
            # What was found stays: replicas that work need no name.
            _log.warning("cannot look up %s: %s", parts.hostname, error.strerror or error)

    async def _ask_registry(self) -> None:
        if self._listed is None:
            return
        try:
            self._known = await self._threads.run(self._listed)
        except RegistryError as error:
            _log.warning("cannot ask the registry for its replicas: %s", error)

    def _put(self) -> None:
        members = members_of(self._config.replicas, self._found, self._known)
        if members == self._members:
            return
        moved = {member.name for member in self._members} - {one.name for one in set(self._members) & set(members)}
        for member in members:
            if member.name in moved:
                self._retired.append(self.links.pop(member.name))
            if member.name not in self.links:
                self.links[member.name] = self._link(member)
        self._members = members
        reserved = self._config.canary.reserved_pools
        self._fleet.put_members(
            [Replica(one.name, one.url, pool=one.pool, reserved=one.pool in reserved) for one in members]
        )

    def _link(self, member: Member) -> Link:
        client = ReplicaClient(
            member.url,
            connect_timeout_s=self._config.connect_timeout_s,
            read_timeout_s=self._config.read_timeout_s,
            on_stray=partial(self._strayed, member.name),
        )
        if self._open:
            client.start()
        return Link(client, member.token)


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
