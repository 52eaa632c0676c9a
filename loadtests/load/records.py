"""The messages to and from the process that sends: plain data, kept as JSON."""

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["answered", "cancelled", "refused", "failed"]
TIMEOUT, UNFINISHED = "timeout", "unfinished"
# Kinds of error that say only that nobody waited any longer.
GIVEN_UP = (TIMEOUT, UNFINISHED)


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned request.

    `due_s`: when it is to be sent, in seconds from the beginning; `cancel_after`: its client leaves after so many
    tokens; `expects`: the right answer, where a wrong one is to be voted down.
    """

    number: int
    due_s: float
    model: str
    tenant: str
    body: dict[str, Any]
    cancel_after: int | None = None
    expects: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of a request. Times are seconds from the beginning.

    `first_s`: of its first token; `gap_s`: the longest between two tokens; `kind`: of the error; `revision`: who
    answered, by the answer's headers; `right`: whether it said what was expected, where something was.
    """

    number: int
    sent_s: float
    first_s: float | None
    end_s: float
    tokens: int
    outcome: Outcome
    status: int
    kind: str = ""
    revision: str = ""
    gap_s: float = 0.0
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """The job of the process that sends: all requests to `url`.

    `keys`: of tenants; `timeout_s`: of one request; `drain_s`: seconds after the last is due, in which answers may
    still come.
    """

    url: str
    requests: tuple[Planned, ...]
    keys: dict[str, str]
    timeout_s: float
    drain_s: float


def job_of(document: dict[str, Any]) -> Job:
    """A job as it was before it was JSON."""
    return Job(**{**document, "requests": tuple(Planned(**entry) for entry in document["requests"])})
