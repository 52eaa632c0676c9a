"""Poller of the replicas' state, so that no request has to wait for it."""

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
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, ListedModel, Replica
from patchbay.router.settings.config import RouterConfig
from patchbay.router.telemetry.process_metrics import ProcessMetrics
from patchbay.router.upstream.client import Call, Document, ReplicaClient
from patchbay.router.upstream.failure import ReplicaFailure

_log = logging.getLogger("patchbay.router")
# Statuses of `/internal/status` by which a server is taken for a plain OpenAI server.
_NOT_OURS = frozenset({401, 403, 404, 405, 501})
_SLOW_ANSWERS_ALLOWED = 3
# Names and the page of models are made from these on the event loop: with so many, within some 20 ms.
MOST_MODELS = 2_000
MOST_REVISIONS = 10_000
_LONGEST_NAME = 256
# Commas and opening brackets of JSON for each model or revision, at most. Counting them is fast. Decoding millions is
# one call that holds the interpreter, in whatever thread it runs.
_MARKS_OF_A_MODEL = 60
_MARKS_OF_A_REVISION = 20
# More tokens than any model holds.
_MOST_CONTEXT = 2**40


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created: int = 0
    root: str | None = None
    parent: str | None = None
    max_model_len: Any = None


class _Models(msgspec.Struct, frozen=True):
    data: tuple[_Model, ...]


_MODELS = msgspec.json.Decoder(_Models)


class Probe:
    """Probe of one replica: asks one of ours for `/internal/status`, any other server for `/v1/models`.

    `token`: for the replica; `timeout_s`: for each answer; `on_status`: called with the whole status of one of ours;
    `own`: counts the requests that this router has in flight there.
    """

    def __init__(
        self,
        *,
        client: ReplicaClient,
        token: str | None,
        timeout_s: float,
        on_status: Callable[[ReplicaStatus], None] = lambda status: None,
        own: Callable[[], int] = lambda: 0,
    ) -> None:
        self._client = client
        self._on_status = on_status
        self._own = own
        self._headers = [(b"accept-encoding", b"identity")]
        if token is not None:
            self._headers.append((b"authorization", f"Bearer {token}".encode()))
        self._timeout_s = timeout_s

    async def look(self, before: Replica) -> Replica:
        """Polls the replica once, and returns what is known of it now. `before`: what was known until now.

        Raises ReplicaFailure where it does not answer, and Unavailable where this router cannot ask.
        """
        known_plain = before.state == "ready" and before.catalog is not None and before.catalog.plain
        if known_plain:
            return await self._plain(before)
        # Counted before the question: requests that begin meanwhile may not be in the replica's answer.
        own = self._own()
        answer = await self._get("/internal/status")
        if answer.status == 200:
            return await self._read_status(answer.body, before, own)
        if answer.status in _NOT_OURS:
            return await self._plain(before)
        return _unready(before, f"/internal/status answers {answer.status}")

    async def _read_status(self, body: bytes, before: Replica, own: int) -> Replica:
        too_many = _unready(before, f"/internal/status tells of more than {MOST_REVISIONS} revisions")
        if _count_marks(body) > MOST_REVISIONS * _MARKS_OF_A_REVISION:
            return too_many
        try:
            status = ReplicaStatus.model_validate_json(body)
        except ValidationError:
            return await self._plain(before)
        if len(status.revisions) > MOST_REVISIONS:
            return too_many
        self._on_status(status)
        return _ours(before, status, own)

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
        return await self._client.fetch(Call(method="GET", path=path, headers=self._headers), timeout_s=self._timeout_s)


class Poller:
    """Polling loop that keeps `fleet` current: polls each replica every second, unready or doubted ones more often.

    `probe_of`: gives the probe of a replica, by its name. `seen_all` is set once each replica was polled.
    """

    def __init__(
        self, config: RouterConfig, fleet: Fleet, probe_of: Callable[[str], Probe], metrics: ProcessMetrics
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._probe_of = probe_of
        self._metrics = metrics
        self._seen: set[str] = set()
        self.seen_all = asyncio.Event()

    async def run(self) -> None:
        """Polls every replica, again and again, until cancelled. Sets `seen_all` after the first round."""
        tasks_by_name: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._fleet.regrouped.clear()
                names = set(self._fleet.doubts)
                for gone in tasks_by_name.keys() - names:
                    tasks_by_name.pop(gone).cancel()
                for name in names - tasks_by_name.keys():
                    tasks_by_name[name] = group.create_task(self._follow(name, self._probe_of(name)))
                self._check_seen()
                await self._fleet.regrouped.wait()

    async def _follow(self, name: str, probe: Probe) -> None:
        slow_answers = 0
        while (doubt := self._fleet.doubts.get(name)) is not None:
            doubt.clear()
            try:
                slow_answers = await self._poll(name, probe, slow_answers)
            except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
                _log.exception("looking at replica %s failed in the router", name)
                self._metrics.fault("poller")
            self._seen.add(name)
            self._check_seen()
            await self._pause(name, doubt)

    def _check_seen(self) -> None:
        if self._seen.issuperset(self._fleet.doubts):
            self.seen_all.set()

    async def _poll(self, name: str, probe: Probe, slow_answers: int) -> int:
        """Polls a replica once. `slow_answers` and the result: polls in a row that it did not answer in time."""
        before = self._fleet.find(name)
        if before is None:
            return slow_answers
        try:
            seen = await probe.look(before)
        except Unavailable as error:
            # The fault is this router's. What is known of the replica stays.
            _log.warning("cannot look at replica %s: %s", name, error)
            return slow_answers
        except ReplicaFailure as error:
            # A busy engine may be late a few times. One that is gone refuses the connection: that counts at once.
            slow_answers = slow_answers + 1 if error.kind == "timeout" else _SLOW_ANSWERS_ALLOWED
            if slow_answers < _SLOW_ANSWERS_ALLOWED:
                return slow_answers
            seen = _unready(before, error.message)
        else:
            slow_answers = 0
        _log_change(before, seen)
        self._fleet.put(seen)
        return slow_answers

    async def _pause(self, name: str, doubt: asyncio.Event) -> None:
        """Waits until the next poll: shorter while the replica is not ready, not at all once its state is in doubt."""
        replica = self._fleet.find(name)
        if replica is None or replica.state != "ready":
            await asyncio.sleep(self._config.poll_interval_unready_s)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.poll_interval_s):
                await doubt.wait()


def _count_marks(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _listed(body: bytes) -> tuple[ListedModel, ...]:
    """Returns the models that a plain server lists. Raises ValueError where that is no list, or too long a one."""
    too_many = f"/v1/models lists more than {MOST_MODELS} models"
    if _count_marks(body) > MOST_MODELS * _MARKS_OF_A_MODEL:
        raise ValueError(too_many)
    try:
        data = _MODELS.decode(body).data
    except UNREADABLE as error:
        raise ValueError(f"/v1/models is no list of models: {error}") from error
    if len(data) > MOST_MODELS:
        raise ValueError(too_many)
    if any(_has_long_name(model) for model in data):
        raise ValueError(f"/v1/models lists a name of more than {_LONGEST_NAME} characters")
    return tuple(_listed_model(model) for model in data)


def _listed_model(model: _Model) -> ListedModel:
    context = model.max_model_len
    # Servers that say something else there are served all the same.
    known = isinstance(context, int) and 0 < context <= _MOST_CONTEXT
    return ListedModel(
        id=model.id,
        created=model.created,
        root=model.root,
        parent=model.parent,
        context=context if known else None,
    )


def _has_long_name(model: _Model) -> bool:
    return any(len(name) > _LONGEST_NAME for name in (model.id, model.root or "", model.parent or ""))


def _ours(before: Replica, status: ReplicaStatus, own: int) -> Replica:
    base = status.base
    revisions = tuple(
        HeldRevision(
            adapter=revision.adapter,
            number=revision.number,
            engine_name=revision.engine_name,
            state=revision.state,
            digest=revision.digest,
        )
        for revision in status.revisions
    )
    catalog = Catalog(
        base=base.name,
        source=base.source,
        revisions=revisions,
        context=base.max_model_len,
        fingerprint=base.fingerprint,
    )
    load = status.requests.running + status.requests.waiting
    seen = replace(
        before,
        catalog=catalog,
        load=load,
        elsewhere=max(0, load - own),
        kv_use=min(max(status.requests.kv_cache_use, 0.0), 1.0),
        tiers={revision.engine_name: revision.tier for revision in status.revisions},
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
