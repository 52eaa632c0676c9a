"""The population of a canary's callers: whether there are enough to count each of them once."""

import math
from collections import Counter
from typing import Literal

from patchbay.router.canary.callers import caller_of
from patchbay.router.canary.counted_callers import callers_expected, growths
from patchbay.router.canary.first_seen import BloomFilter
from patchbay.router.canary.ledger import CallersSeen
from patchbay.router.canary.plan import PlanConfig

Assigned = Literal["caller", "request"]
_FIRST_LOOK = 64
# Shares of new callers among the requests since the last look. Below the first, callers may be too few. Below the
# second they are always the same ones, so that counting each once teaches nothing more, and so are conversations.
_NEW_CALLERS, _NEW_CONVERSATIONS = 0.25, 0.02
_CONVERSATION, ALONE = b"session:", b"request:"
# From this many requests of other keys on, and this part of all, one key alone does not decide what is assigned.
_OTHERS, _OTHERS_PART = 32, 10
_MOST_KEYS = 10_000


class Population:
    """Decides, by the callers that one router has seen, whether callers or requests are assigned.

    `unit`: callers as long as there are enough of them or new ones keep coming, and else requests, by conversation
    where one is named and conversations come and go. It is decided after 64 requests, 128, and so on; it does not go
    back from requests to callers. Names are the clients' own, so the key with most new names does not decide for the
    others.
    """

    def __init__(self, plan: PlanConfig) -> None:
        self._plan = plan
        self._known = BloomFilter(callers_expected(plan))
        self._requests = 0
        self._next_look = _FIRST_LOOK
        self._callers_then = 0
        self._names: Counter[bytes] = Counter()
        self._asked_since: Counter[bytes] = Counter()
        self._new_since: Counter[bytes] = Counter()
        self.callers = 0
        self.unit: Assigned = "request" if plan.unit == "request" else "caller"
        self._whole = plan.unit == "auto"

    def unit_of(self, caller: bytes, alone: bytes, share: float) -> bytes:
        """Returns the bytes that a request is assigned by, while the canary has `share`.

        `caller`: who asks; `alone`: stands for this request and no other.
        """
        self._saw(caller, share)
        if self.unit == "caller" or (self._whole and caller.startswith(_CONVERSATION)):
            return caller
        return alone

    @property
    def seen(self) -> CallersSeen:
        """The observations that this router reports."""
        return CallersSeen(self.unit, self.callers, self._known.error)

    def names_of(self, key: bytes) -> int:
        """Returns the number of callers that ask by one key, at least one."""
        return max(self._names[key], 1)

    def _saw(self, caller: bytes, share: float) -> None:
        is_new, key = caller.startswith(ALONE) or self._known.is_first(caller), caller_of(caller)
        self.callers += is_new
        self._requests += 1
        if key in self._asked_since or len(self._asked_since) < _MOST_KEYS:
            self._asked_since[key] += 1
            self._new_since[key] += is_new
        if key in self._names or len(self._names) < _MOST_KEYS:
            self._names[key] += is_new
        if self._requests == self._next_look:
            if self._plan.unit == "auto":
                self._look(share)
            self._next_look, self._callers_then = 2 * self._requests, self.callers
            self._asked_since.clear()
            self._new_since.clear()

    def _look(self, share: float) -> None:
        since = self._requests - self._requests // 2 if self._callers_then else self._requests
        found, callers = self.callers - self._callers_then, self.callers
        new = found / since
        most, of_most = self._new_since.most_common(1)[0]
        others = since - self._asked_since[most]
        if others >= _OTHERS and others * _OTHERS_PART >= since:
            new, callers = min(new, (found - of_most) / others), callers - self._names[most]
        enough = callers >= _needed(self._plan, share) and new >= _NEW_CONVERSATIONS
        if enough or new >= _NEW_CALLERS:
            return
        self.unit = "request"
        self._whole = self._whole and new >= _NEW_CONVERSATIONS


def _needed(plan: PlanConfig, share: float) -> float:
    """Returns the number of callers from which enough come into the canary, in the step that has `share` and for its
    promotion."""
    here = (metric for metric in growths(plan) if metric[0].weight >= 100 * share - 1e-9)
    step, weight = next(here, growths(plan)[-1])
    few = [metric.harmless for metric in plan.metrics.values() if metric.harmless is not None]
    to_promote = math.log(2 / plan.promote_alpha) / min(few) if few else 0.0
    return max(step.samples * 100 / weight, to_promote * 100 / plan.steps[-1].weight)
