"""Verdicts on replicas by the status of their answers: is it an answer, or a failure of the replica?"""

import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

from patchbay.core.asgi import header
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.tries import Ask
from patchbay.router.forward.upstreams import Attempt, Upstreams
from patchbay.router.http.headers import MISSING
from patchbay.router.upstream.failure import FailureKind, ReplicaFailure

_RETRY_AFTER = b"retry-after"
# For a replica that is overloaded and does not say for how long.
_PAUSE_S = 1.0
# Kinds for which the last replica's answer goes to the client as it is.
OWN_WORDS: frozenset[FailureKind] = frozenset({"busy", "limited"})


class Verdicts:
    """Decides which answers are about the replica and not about the request, so that another replica is asked."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    def of(self, exchange: Exchange, attempt: Attempt, ask: Ask) -> ReplicaFailure | None:
        """Returns the failure that the status of `attempt` means, None where it answers the request.

        Has side effects: a replica may be paused, and the budget charged for a second opinion on a 500.
        """
        status = attempt.answer.status
        if status in (401, 403):
            return ReplicaFailure("it refused the router's token", kind="refused")
        if status == 429:
            self._upstreams.healths.pause(attempt.replica.name, pause_s(attempt.answer.headers, time.time()))
            return ReplicaFailure("it is over its limit (429)", kind="limited")
        if status == 503:
            return self._unavailable(attempt)
        if status == 500:
            return self._erred(exchange, attempt, ask)
        # A 504 of our own server under a deadline is the client's: the request had no more time. That is an answer.
        if status == 502 or (status == 504 and (ask.deadline_s is None or _is_plain(attempt))):
            return ReplicaFailure(f"it, or a proxy before it, answers {status}", kind="gateway")
        return None

    def _unavailable(self, attempt: Attempt) -> ReplicaFailure:
        """Returns the failure for a 503.

        A replica that says when to come again, or what it does not have, is well. A plain one is paused until then.
        """
        answer = attempt.answer
        if header(answer.headers, _RETRY_AFTER) is None and not answer.has(MISSING):
            return ReplicaFailure("it takes no work (503)", kind="gateway")
        if _is_plain(attempt):
            self._upstreams.healths.pause(attempt.replica.name, pause_s(answer.headers, time.time()))
        return ReplicaFailure("it takes no work now (503)", kind="busy")

    def _erred(self, exchange: Exchange, attempt: Attempt, ask: Ask) -> ReplicaFailure | None:
        """Returns the failure for a 500, None where that is the answer.

        A 500 is the replica's fault where another replica answers the same request, and the request's where that one
        fails too.
        """
        upstreams = self._upstreams
        case = upstreams.case(exchange, ask)
        if case.erred is not None:
            case.erred = None
            upstreams.suspects.poisoned(case)
            return None
        # No second opinion on a request that may end replicas, or that is known to get 500 everywhere.
        if case.deaths or upstreams.suspects.poisons(case):
            return None
        if upstreams.pick(exchange, ask) is None or not upstreams.may_try_again():
            return None
        return ReplicaFailure("it answers 500", kind="error")


def pause_s(headers: Iterable[tuple[bytes, bytes]], now_s: float) -> float:
    """Returns the seconds for which a replica wants to be left alone, by its headers. `now_s`: Unix time.

    Source: RFC 9110, section 10.2.3: seconds, or a date.
    """
    given = (header(headers, _RETRY_AFTER) or b"").decode("latin-1").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - now_s)
    except (ValueError, TypeError, IndexError, OverflowError):
        return _PAUSE_S


def _is_plain(attempt: Attempt) -> bool:
    catalog = attempt.replica.catalog
    return catalog is None or catalog.plain
