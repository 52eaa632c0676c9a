"""Votes on answers: `POST /v1/feedback` with an answer's id and `up` or `down`.

A vote counts for the revision that gave the answer, once. Answers are known by the id of their request. vLLM makes the
answers' ids from it, so the router need not read the answers.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import msgspec

from patchbay.core.errors import Conflict, InvalidRequest, NotFound
from patchbay.router.fleet.snapshot import Target

Vote = Literal["up", "down"]
# Prefixes that vLLM puts before a request's id, by endpoint.
_PREFIXES = ("chatcmpl-", "cmpl-", "resp_", "msg_", "embd-")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    completion_id: str
    vote: Vote


@dataclass(frozen=True, slots=True)
class TakenVote:
    """Vote that was accepted. `target`: what gave the answer; `new`: whether it is the first on this answer; `answer`:
    its `answer_key`."""

    target: Target
    vote: Vote
    new: bool
    answer: bytes


def answer_key(tenant: str, request_id: bytes) -> bytes:
    """Makes the key of a tenant's answer. No tenant's name has a slash in it."""
    return tenant.encode() + b"/" + request_id


class Feedback:
    """Store of the last `limit` answers and the votes on them, some 200 bytes each.

    They are kept by tenant and request id: clients choose the ids, so those of one tenant must not reach another's.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[bytes, Target] = OrderedDict()
        self._votes: dict[bytes, Vote] = {}

    def answered(self, answer: bytes, target: Target) -> None:
        """Notes that the request of that `answer_key` got its answer from `target`."""
        self._answers[answer] = target
        self._votes.pop(answer, None)
        while len(self._answers) > self._limit:
            self._votes.pop(self._answers.popitem(last=False)[0], None)

    def vote(self, body: bytes, tenant: str) -> TakenVote:
        """Takes a vote of `tenant` on an answer of its own. The same vote again is not counted as new.

        `body`: the request's JSON. Raises InvalidRequest, NotFound for an answer that is not known (any more), and
        Conflict for a different vote on the same answer.
        """
        try:
            given = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"Feedback is a JSON object with 'completion_id' and 'vote': {error}.") from error
        name = self._find(given.completion_id, tenant)
        before = self._votes.get(name)
        if before not in (None, given.vote):
            raise Conflict("There is another vote on this answer already.")
        self._votes[name] = given.vote
        return TakenVote(self._answers[name], given.vote, before is None, name)

    def _find(self, completion_id: str, tenant: str) -> bytes:
        ids = [completion_id, *(completion_id.removeprefix(prefix) for prefix in _PREFIXES)]
        names = [answer_key(tenant, one.encode()) for one in ids]
        found = next((name for name in names if name in self._answers), None)
        if found is None:
            raise NotFound("This router knows no such answer (any more).")
        return found
