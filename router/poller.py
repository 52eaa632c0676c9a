"""Learns the replicas' state from the replicas themselves, so that no request has to wait for it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from pydantic import ValidationError

from adapters.replica import ReplicaStatus
from router.config import RouterConfig
from router.fleet import Fleet
from router.metrics import Metrics
from router.snapshot import Catalog, ListedModel, Replica, Revision
from router.upstream.client import Call, Document, ReplicaClient
from router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")
_NOT_OURS = frozenset({401, 403, 404, 405, 501})
_SLOW_ANSWERS_ALLOWED = 3


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int = 0
    root: str | None = None
    parent: str | None = None


class _Models(msgspec.Struct, frozen=True):
    data: tuple[_Model, ...]


class Probe:
    """One replica as it tells of itself: one of ours by `/internal/status`, any other by `/v1/models`.

    `told` is called with all that one of ours tells.
    """

    def __init__(
        self,
        client: ReplicaClient,
        token: str | None,
        timeout_s: float,
        told: Callable[[ReplicaStatus], None] = lambda status: None,
    ) -> None:
        self._client = client
        self._told = told
        self._headers = [(b"accept-encoding", b"identity")]
        if token is not None:
            self._headers.append((b"authorization", f"Bearer {token}".encode()))
        self._timeout_s = timeout_s

    async def look(self, before: Replica) -> Replica:
        """What is to be known of the replica after `before`. Raises ReplicaFailure where it does not answer."""
        known_plain = before.state == "ready" and before.catalog is not None and before.catalog.plain
        if known_plain:
            return await self._plain(before)
        status = await self._get("/internal/status")
        if status.status == 200:
            try:
                told = ReplicaStatus.model_validate_json(status.body)
            except ValidationError:
                return await self._plain(before)
            self._told(told)
            return _ours(before, told)
        if status.status in _NOT_OURS:
            return await self._plain(before)
        return _unready(before, f"/internal/status answers {status.status}")

    async def _plain(self, before: Replica) -> Replica:
        models = await self._get("/v1/models")
        if models.status in (401, 403):
            return _unready(before, f"it refuses the router's token ({models.status})")
        if models.status != 200:
            return _unready(before, f"/v1/models answers {models.status}")
        try:
            listed = msgspec.json.decode(models.body, type=_Models)
        except msgspec.DecodeError as error:
            return _unready(before, f"/v1/models is no list of models: {error}")
        health = await self._get("/health")
        if health.status >= 500:
            return _unready(before, f"/health answers {health.status}")
        catalog = Catalog(models=tuple(ListedModel(m.id, m.created, m.root, m.parent) for m in listed.data))
        return replace(before, state="ready", reason=None, catalog=catalog, load=0)

    async def _get(self, path: str) -> Document:
        return await self._client.fetch(Call("GET", path, self._headers), timeout_s=self._timeout_s)


class Poller:
    """Keeps `fleet` true: looks at each replica every second, and at unready or doubted ones more often."""

    def __init__(self, config: RouterConfig, fleet: Fleet, probes: Mapping[str, Probe], metrics: Metrics) -> None:
        self._config = config
        self._fleet = fleet
        self._probes = probes
        self._metrics = metrics
        self._unseen = set(probes)
        self.seen_all = asyncio.Event()

    async def run(self) -> None:
        """Looks at every replica, again and again, until cancelled. Sets `seen_all` after the first round."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._probes:
                tasks.create_task(self._follow(name))

    async def _follow(self, name: str) -> None:
        slow = 0
        while True:
            self._fleet.doubts[name].clear()
            try:
                slow = await self._look(name, slow)
            except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
                _log.exception("looking at replica %s failed in the router", name)
                self._metrics.fault("poller")
            self._unseen.discard(name)
            if not self._unseen:
                self.seen_all.set()
            await self._pause(name)

    async def _look(self, name: str, slow: int) -> int:
        """One look at a replica; `slow` and the result: how many looks in a row it did not answer in time."""
        before = self._fleet.get(name)
        try:
            seen = await self._probes[name].look(before)
        except ReplicaFailure as error:
            slow = slow + 1 if error.kind == "timeout" else _SLOW_ANSWERS_ALLOWED
            # An engine that is busy may be late. One that is gone refuses the connection, and is believed at once.
            if slow < _SLOW_ANSWERS_ALLOWED:
                return slow
            seen = _unready(before, error.message)
        else:
            slow = 0
        _log_change(before, seen)
        self._fleet.put(seen)
        return slow

    async def _pause(self, name: str) -> None:
        """Waits for the next look: shorter while the replica is not ready, not at all when its state is in doubt."""
        if self._fleet.get(name).state != "ready":
            await asyncio.sleep(self._config.poll_interval_unready_s)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.poll_interval_s):
                await self._fleet.doubts[name].wait()


def _ours(before: Replica, status: ReplicaStatus) -> Replica:
    revisions = tuple(Revision(r.adapter, r.number, r.engine_name, r.state) for r in status.revisions)
    catalog = Catalog(status.base.name, status.base.source, revisions, context=status.base.max_model_len)
    load = status.requests.running + status.requests.waiting
    if status.phase == "ready":
        return replace(before, state="ready", reason=None, catalog=catalog, load=load)
    state: Any = "draining" if status.phase == "draining" else "unready"
    return replace(before, state=state, reason=status.phase, catalog=catalog, load=load)


def _unready(before: Replica, reason: str) -> Replica:
    return replace(before, state="unready", reason=reason)


def _log_change(before: Replica, seen: Replica) -> None:
    if (before.state, before.reason) != (seen.state, seen.reason):
        _log.info("replica %s is %s%s", seen.name, seen.state, f": {seen.reason}" if seen.reason else "")
