"""Client for the router's own requests to replicas, such as shadows and judges. They take no turn of admission."""

from collections.abc import Sequence

import msgspec

from patchbay.core.errors import RequestError, SuspectedQuery
from patchbay.guards.judges.judge import JudgeFailed
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.names import resolve
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.tries import Ask
from patchbay.router.forward.upstreams import Upstreams
from patchbay.router.http.body import Prompt
from patchbay.router.http.headers import PRIORITY, REVISION
from patchbay.router.upstream.client import Call
from patchbay.router.upstream.failure import DEADLY, ReplicaFailure

_CHAT = "/v1/chat/completions"
_VERDICT_TIMEOUT_S = 60
# Judges run before everybody else at the engine, since an answer waits for them.
_JUDGE_PRIORITY = -1000


class InternalClient:
    """Client that sends the router's own requests to replicas."""

    def __init__(self, fleet: Fleet, upstreams: Upstreams) -> None:
        self._fleet = fleet
        self._upstreams = upstreams

    def resolve(self, model: str) -> Target:
        """Returns the target that `model` means now. Raises RequestError where there is none."""
        return resolve(model, self._fleet.view.table, self._fleet.view.replicas)

    def best(self, ask: Ask, places: Sequence[str]) -> str | None:
        """Returns the name of the replica among `places` that should answer `ask`, None where none may be asked."""
        replica = self._upstreams.best((), ask, places)
        return replica.name if replica is not None else None

    async def post(
        self, target: Target, name: str, path: str, body: bytes, *, priority: int, timeout_s: float
    ) -> bytes:
        """Posts `body` to the replica called `name`, and returns the body of its answer.

        `target`: the model in `body`; `path`: the endpoint's; `priority`: at the engine, the lowest first; `timeout_s`:
        for the whole answer. Raises ReplicaFailure where the answer is no 200, and SuspectedQuery where replicas may
        die of the request.
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
        call = Call(method="POST", path=path, headers=headers, body=body)
        document = await self._upstreams.fetch(target, replica, call, timeout_s=timeout_s)
        if document.status != 200:
            raise ReplicaFailure(f"it answers {document.status}", kind="busy")
        return document.body

    async def again(self, model: str, fields: dict[str, object], near: str) -> bytes:
        """Asks for a verdict once more, paid from the budget for retries. Arguments and errors as for `verdict`."""
        if not self._upstreams.may_try_again():
            raise JudgeFailed("Too much is tried again already.")
        return await self.verdict(model, fields, near)

    async def verdict(self, model: str, fields: dict[str, object], near: str) -> bytes:
        """Asks `model` for a judge's verdict, as `AskModel` describes, and returns the body of its answer.

        `fields`: of the request, without the model; `near`: what all verdicts on one client's request have in common.
        While possible one replica gets all of these, since it has their common beginning in its KV cache. Raises
        JudgeFailed where no replica answers.
        """
        tried: set[str] = set()
        failure, deaths = "no replica that serves it can be asked", 0
        try:
            target = self.resolve(model)
        except RequestError as error:
            raise JudgeFailed(f"The model '{model}' cannot be asked: {error}") from error
        ask = Ask(
            model=model,
            target=target,
            prompt=Prompt(text=msgspec.Raw(msgspec.json.encode(near))),
            body=b"",
            stream=False,
        )
        body = msgspec.json.encode({**fields, "model": target.revision or target.label})
        while (replica := self._upstreams.best(tried, ask)) is not None:
            tried.add(replica.name)
            try:
                return await self.post(
                    target, replica.name, _CHAT, body, priority=_JUDGE_PRIORITY, timeout_s=_VERDICT_TIMEOUT_S
                )
            except SuspectedQuery as error:
                raise JudgeFailed(f"The model '{model}' cannot be asked: {error}") from error
            except ReplicaFailure as error:
                failure, deaths = error.message, deaths + (error.kind in DEADLY)
                # Two replicas died of it. A third is not risked.
                if deaths > 1:
                    break
        raise JudgeFailed(f"The model '{model}' cannot be asked: {failure}.")
