"""Learns the replicas' state from the replicas themselves, so that no request has to wait for it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from pydantic import ValidationError

from patchbay.core.errors import Unavailable
from patchbay.core.json_body import UNREADABLE
from patchbay.core.replica import ReplicaStatus
from patchbay.router.config import RouterConfig
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, ListedModel, Replica
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.upstream.client import Call, Document, ReplicaClient
from patchbay.router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")
_NOT_OURS = frozenset({401, 403, 404, 405, 501})
_SLOW_ANSWERS_ALLOWED = 3
# What names and the page of models are made from, on the way of requests: each within some 20 ms.
MOST_MODELS = 2_000
MOST_REVISIONS = 10_000
_LONGEST_NAME = 256
# Commas and opening brackets of JSON for each model or revision, at most. To count them takes no time, and to decode
# millions is one call, which the interpreter waits for in whatever thread it is.
_MARKS_OF_A_MODEL = 60
_MARKS_OF_A_REVISION = 20


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int = 0
    root: str | None = None
    parent: str | None = None


class _Models(msgspec.Struct, frozen=True):
    data: tuple[_Model, ...]


_MODELS = msgspec.json.Decoder(_Models)


class Probe:
    """One replica as it tells of itself: one of ours by `/internal/status`, any other by `/v1/models`.

    `told` is called with all that one of ours tells; `own` counts what this router has in flight there.
    """

    def __init__(
        self,
        client: ReplicaClient,
        token: str | None,
        timeout_s: float,
        told: Callable[[ReplicaStatus], None] = lambda status: None,
        own: Callable[[], int] = lambda: 0,
    ) -> None:
        self._client = client
        self._told = told
        self._own = own
        self._headers = [(b"accept-encoding", b"identity")]
        if token is not None:
            self._headers.append((b"authorization", f"Bearer {token}".encode()))
        self._timeout_s = timeout_s

    async def look(self, before: Replica) -> Replica:
        """What is to be known of the replica after `before`. Raises ReplicaFailure where it does not answer."""
        known_plain = before.state == "ready" and before.catalog is not None and before.catalog.plain
        if known_plain:
            return await self._plain(before)
        own = self._own()
        status = await self._get("/internal/status")
        if status.status == 200:
            return await self._told_by(status.body, before, own)
        if status.status in _NOT_OURS:
            return await self._plain(before)
        return _unready(before, f"/internal/status answers {status.status}")

    async def _told_by(self, body: bytes, before: Replica, own: int) -> Replica:
        many = _unready(before, f"/internal/status tells of more than {MOST_REVISIONS} revisions")
        if _marks(body) > MOST_REVISIONS * _MARKS_OF_A_REVISION:
            return many
        try:
            told = ReplicaStatus.model_validate_json(body)
        except ValidationError:
            return await self._plain(before)
        if len(told.revisions) > MOST_REVISIONS:
            return many
        self._told(told)
        return _ours(before, told, own)

    async def _plain(self, before: Replica) -> Replica:
        models = await self._get("/v1/models")
        if models.status in (401, 403):
            return _unready(before, f"it refuses the router's token ({models.status})")
        if models.status != 200:
            return _unready(before, f"/v1/models answers {models.status}")
        try:
            listed = _listed(models.body)
        except ValueError as error:
            return _unready(before, str(error))
        health = await self._get("/health")
        if health.status >= 500:
            return _unready(before, f"/health answers {health.status}")
        return replace(before, state="ready", reason=None, catalog=Catalog(models=listed), load=0)

    async def _get(self, path: str) -> Document:
        return await self._client.fetch(Call("GET", path, self._headers), timeout_s=self._timeout_s)


class Poller:
    """Keeps `fleet` true: looks at each replica every second, and at unready or doubted ones more often.

    `probe_of`: gives the way to look at a replica, by its name.
    """

    def __init__(self, config: RouterConfig, fleet: Fleet, probe_of: Callable[[str], Probe], metrics: Metrics) -> None:
        self._config = config
        self._fleet = fleet
        self._probe_of = probe_of
        self._metrics = metrics
        self._seen: set[str] = set()
        self.seen_all = asyncio.Event()

    async def run(self) -> None:
        """Looks at every replica there is, again and again, until cancelled. Sets `seen_all` after the first round."""
        following: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._fleet.regrouped.clear()
                names = set(self._fleet.doubts)
                for gone in following.keys() - names:
                    following.pop(gone).cancel()
                for name in names - following.keys():
                    following[name] = tasks.create_task(self._follow(name, self._probe_of(name)))
                self._check_seen()
                await self._fleet.regrouped.wait()

    async def _follow(self, name: str, probe: Probe) -> None:
        slow = 0
        while (doubt := self._fleet.doubts.get(name)) is not None:
            doubt.clear()
            try:
                slow = await self._look(name, probe, slow)
            except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
                _log.exception("looking at replica %s failed in the router", name)
                self._metrics.fault("poller")
            self._seen.add(name)
            self._check_seen()
            await self._pause(name, doubt)

    def _check_seen(self) -> None:
        if self._seen.issuperset(self._fleet.doubts):
            self.seen_all.set()

    async def _look(self, name: str, probe: Probe, slow: int) -> int:
        """One look at a replica; `slow` and the result: how many looks in a row it did not answer in time."""
        before = self._fleet.find(name)
        if before is None:
            return slow
        try:
            seen = await probe.look(before)
        except Unavailable as error:
            # It is this router that cannot look: what is known of the replica stays.
            _log.warning("cannot look at replica %s: %s", name, error)
            return slow
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

    async def _pause(self, name: str, doubt: asyncio.Event) -> None:
        """Waits for the next look: shorter while the replica is not ready, not at all when its state is in doubt."""
        replica = self._fleet.find(name)
        if replica is None or replica.state != "ready":
            await asyncio.sleep(self._config.poll_interval_unready_s)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.poll_interval_s):
                await doubt.wait()


def _marks(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _listed(body: bytes) -> tuple[ListedModel, ...]:
    """The models that a plain server lists. Raises ValueError where that is no list, or one of more than may be."""
    many = f"/v1/models lists more than {MOST_MODELS} models"
    if _marks(body) > MOST_MODELS * _MARKS_OF_A_MODEL:
        raise ValueError(many)
    try:
        data = _MODELS.decode(body).data
    except UNREADABLE as error:
        raise ValueError(f"/v1/models is no list of models: {error}") from error
    if len(data) > MOST_MODELS:
        raise ValueError(many)
    if any(len(name) > _LONGEST_NAME for one in data for name in (one.id, one.root or "", one.parent or "")):
        raise ValueError(f"/v1/models lists a name of more than {_LONGEST_NAME} characters")
    return tuple(ListedModel(one.id, one.created, one.root, one.parent) for one in data)


def _ours(before: Replica, status: ReplicaStatus, own: int) -> Replica:
    base = status.base
    revisions = tuple(HeldRevision(r.adapter, r.number, r.engine_name, r.state, r.digest) for r in status.revisions)
    catalog = Catalog(base.name, base.source, revisions, context=base.max_model_len, fingerprint=base.fingerprint)
    load = status.requests.running + status.requests.waiting
    seen = replace(
        before,
        catalog=catalog,
        load=load,
        elsewhere=max(0, load - own),
        kv_use=min(max(status.requests.kv_cache_use, 0.0), 1.0),
        tiers={r.engine_name: r.tier for r in status.revisions},
    )
    if status.phase == "ready":
        return replace(seen, state="ready", reason=None)
    state: Any = "draining" if status.phase == "draining" else "unready"
    return replace(seen, state=state, reason=status.phase)


def _unready(before: Replica, reason: str) -> Replica:
    return replace(before, state="unready", reason=reason)


def _log_change(before: Replica, seen: Replica) -> None:
    if (before.state, before.reason) != (seen.state, seen.reason):
        _log.info("replica %s is %s%s", seen.name, seen.state, f": {seen.reason}" if seen.reason else "")
