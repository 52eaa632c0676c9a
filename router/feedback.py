"""Votes on answers: `POST /v1/feedback` with an answer's id and `up` or `down`.

A vote counts for the revision that gave the answer, once. Answers are known by their request's id, which vLLM makes the
answers' ids from, so nothing has to be read in them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import msgspec

from adapters.errors import Conflict, InvalidRequest, NotFound
from router.snapshot import Target

Vote = Literal["up", "down"]
# What vLLM puts before a request's id, by endpoint.
_PREFIXES = ("chatcmpl-", "cmpl-", "resp_", "msg_", "embd-")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    completion_id: str
    vote: Vote


@dataclass(slots=True)
class _Given:
    target: Target
    vote: Vote | None = None


class Feedback:
    """The last `limit` answers, by request id."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, _Given] = OrderedDict()

    def answered(self, request_id: bytes, target: Target) -> None:
        """Notes that a request got its answer from `target`."""
        self._answers[request_id.decode()] = _Given(target)
        while len(self._answers) > self._limit:
            self._answers.popitem(last=False)

    def vote(self, body: bytes) -> tuple[Target, Vote, bool]:
        """Takes a vote: on whom, which, and whether it is new. The same vote again is not.

        Raises InvalidRequest, NotFound for an answer that is not known (any more), Conflict for a second thought.
        """
        try:
            given = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"Feedback is a JSON object with 'completion_id' and 'vote': {error}.") from error
        answer = self._find(given.completion_id)
        if answer is None:
            raise NotFound("This router knows no such answer (any more).")
        if answer.vote not in (None, given.vote):
            raise Conflict("There is another vote on this answer already.")
        new, answer.vote = answer.vote is None, given.vote
        return answer.target, given.vote, new

    def _find(self, completion_id: str) -> _Given | None:
        names = [completion_id, *(completion_id.removeprefix(prefix) for prefix in _PREFIXES)]
        return next((self._answers[name] for name in names if name in self._answers), None)
