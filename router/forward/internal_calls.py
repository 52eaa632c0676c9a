"""Requests of the router's own to replicas, beside those of clients: nobody waits for a turn for them."""

from collections.abc import Sequence

import msgspec

from patchbay.core.errors import RequestError, SuspectedQuery
from patchbay.guards.judges.judge import JudgeFailed
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.names import resolve
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.exchange import Ask
from patchbay.router.forward.upstreams import Upstreams
from patchbay.router.http.body import Prompt
from patchbay.router.http.headers import PRIORITY, REVISION
from patchbay.router.upstream.client import Call
from patchbay.router.upstream.failure import DEADLY, ReplicaFailure

_CHAT = "/v1/chat/completions"
_VERDICT_TIMEOUT_S = 60
# Before everybody: an answer waits for it.
_FIRST = -1000


class InternalClient:
    """How they are asked."""

    def __init__(self, fleet: Fleet, upstreams: Upstreams) -> None:
        self._fleet = fleet
        self._upstreams = upstreams

    def resolve(self, model: str) -> Target:
        """What `model` means now. Raises RequestError where that is nothing."""
        return resolve(model, self._fleet.view.table, self._fleet.view.replicas)

    def best(self, ask: Ask, places: Sequence[str]) -> str | None:
        """Who of `places` is to answer `ask`."""
        replica = self._upstreams.best((), ask, places)
        return replica.name if replica is not None else None

    async def post(
        self, target: Target, name: str, path: str, body: bytes, *, priority: int, timeout_s: float
    ) -> bytes:
        """What the replica called `name` answers to `body`, whose model is the `target`.

        Raises ReplicaFailure where that is no 200, and SuspectedQuery where replicas may die of it.
        """
        replica = self._fleet.find(name)
        if replica is None:
            raise ReplicaFailure("it is not among the replicas any more", kind="connect")
        link = self._upstreams.links[name]
        headers = [(b"content-type", b"application/json"), (PRIORITY, b"%d" % priority)]
        if target.revision is not None:
            headers.append((REVISION, target.engine_name.encode()))
        if link.authorization is not None:
            headers.append((b"authorization", link.authorization))
        call = Call("POST", path, headers, body)
        document = await self._upstreams.fetch(target, replica, call, timeout_s=timeout_s)
        if document.status != 200:
            raise ReplicaFailure(f"it answers {document.status}", kind="busy")
        return document.body

    async def again(self, model: str, fields: dict[str, object], near: str) -> bytes:
        """As `AskModel` says, paid from the budget for retries."""
        if not self._upstreams.may_try_again():
            raise JudgeFailed("Too much is tried again already.")
        return await self.verdict(model, fields, near)

    async def verdict(self, model: str, fields: dict[str, object], near: str) -> bytes:
        """As `AskModel` says: all that are asked near to one request are asked of one replica while that can be, since
        that has what they begin with in its cache."""
        tried: set[str] = set()
        failure, deaths = "no replica that serves it can be asked", 0
        try:
            target = self.resolve(model)
        except RequestError as error:
            raise JudgeFailed(f"The model '{model}' cannot be asked: {error}") from error
        ask = Ask(model, target, Prompt(msgspec.Raw(msgspec.json.encode(near))), b"", stream=False)
        body = msgspec.json.encode({**fields, "model": target.revision or target.label})
        while (replica := self._upstreams.best(tried, ask)) is not None:
            tried.add(replica.name)
            try:
                return await self.post(target, replica.name, _CHAT, body, priority=_FIRST, timeout_s=_VERDICT_TIMEOUT_S)
            except SuspectedQuery as error:
                raise JudgeFailed(f"The model '{model}' cannot be asked: {error}") from error
            except ReplicaFailure as error:
                failure, deaths = error.message, deaths + (error.kind in DEADLY)
                if deaths > 1:
                    break
        raise JudgeFailed(f"The model '{model}' cannot be asked: {failure}.")
