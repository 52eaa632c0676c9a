"""Requests of the router's own to replicas, beside those of clients: nobody waits for a turn for them."""

import msgspec

from adapters.errors import RequestError, SuspectedQuery
from router.body import Prompt
from router.fleet import Fleet
from router.forward.exchange import Ask
from router.forward.upstreams import Upstreams
from router.guards.judges.judge import JudgeFailed
from router.headers import PRIORITY, REVISION
from router.snapshot import Replica, Target
from router.targets import resolve
from router.upstream.client import Call
from router.upstream.failure import DEADLY, ReplicaFailure

_CHAT = "/v1/chat/completions"
_VERDICT_TIMEOUT_S = 60
# Before everybody: an answer waits for it.
_FIRST = -1000


class Aside:
    """How they are asked."""

    def __init__(self, fleet: Fleet, upstreams: Upstreams) -> None:
        self._fleet = fleet
        self._upstreams = upstreams

    async def post(
        self, target: Target, replica: Replica, path: str, fields: dict[str, object], *, priority: int, timeout_s: float
    ) -> bytes:
        """What `replica` answers to `fields` as a request for `target`. Raises ReplicaFailure where that is no 200, and
        SuspectedQuery where replicas may die of it."""
        link = self._upstreams.links[replica.name]
        headers = [(b"content-type", b"application/json"), (PRIORITY, b"%d" % priority)]
        if target.revision is not None:
            headers.append((REVISION, target.engine_name.encode()))
        if link.authorization is not None:
            headers.append((b"authorization", link.authorization))
        body = msgspec.json.encode({**fields, "model": target.revision or target.label})
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
            target = resolve(model, self._fleet.view.table, self._fleet.view.replicas)
        except RequestError as error:
            raise JudgeFailed(f"The model '{model}' cannot be asked: {error}") from error
        ask = Ask(model, target, Prompt(msgspec.Raw(msgspec.json.encode(near))), b"", stream=False)
        while (replica := self._upstreams.best(tried, ask)) is not None:
            tried.add(replica.name)
            try:
                return await self.post(target, replica, _CHAT, fields, priority=_FIRST, timeout_s=_VERDICT_TIMEOUT_S)
            except SuspectedQuery as error:
                raise JudgeFailed(f"The model '{model}' cannot be asked: {error}") from error
            except ReplicaFailure as error:
                failure, deaths = error.message, deaths + (error.kind in DEADLY)
                if deaths > 1:
                    break
        raise JudgeFailed(f"The model '{model}' cannot be asked: {failure}.")
