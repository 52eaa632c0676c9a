"""Suspicion of requests that kill the replicas that answer them ("queries of death"). Pure.

The evidence is deaths: a replica hung up, or fell silent, while it had a request of this kind. One death proves
nothing: all that a replica was doing dies with it, and all of it but one is innocent. So a kind is suspected where it
was there at a second death too, and:

- *silent* deaths, where nothing of the answer had come, count whole. A replica that had gone on with a request for a
  while before it died has shown that it can. Such a death counts as one over the number of concurrent requests, a
  quarter at least. (What kills a replica at a certain token is silent the next time, when another replica goes on from
  that token.)
- a timeout is no sure death: an overloaded fleet is silent too. It counts by the concurrent requests, as above.
- a replica that already failed at requests of other kinds, and has answered none since, is unsound: its next death is
  no evidence against any request.
- an answer to the same kind that begins clears the kind of deaths before its beginning. One that is whole clears it of
  all.

There is no evidence against requests that only waited for their turn and never were at a replica.

Source of the name: "query of death", B. Beyer et al. (eds.), "Site Reliability Engineering", 2016, chapter 22.
"""

from dataclasses import dataclass, replace
from typing import Literal

Standing = Literal["free", "trial", "held"]
_LEAST_WEIGHT = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspicionPolicy:
    """Thresholds of suspicion. `deaths`: how many make a kind of request suspect; `window_s`: seconds for which one
    counts; `hold_s`: seconds for which the kind is held off, doubled each next time up to `max_hold_s`."""

    deaths: int
    window_s: float
    hold_s: float
    max_hold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Death of a replica under a request. `at_s`: when it was noticed first, which makes it one death however many
    requests fail with it; `silent`: nothing came of the answer, or of its rest; `midway`: the client has its beginning;
    `concurrent`: requests at the replica, with this one; `sound`: whether the replica was well until then."""

    replica: str
    at_s: float
    silent: bool
    midway: bool
    concurrent: int
    sound: bool

    @property
    def weight(self) -> float:
        """The weight of this death as evidence, up to 1."""
        return 1.0 if self.silent else max(1 / max(1, self.concurrent), _LEAST_WEIGHT)


@dataclass(frozen=True, slots=True)
class Record:
    """Evidence against one kind of request. `deaths`: those that no answer has cleared it of; `holds`: how often it was
    held off in a row; `until_s`: till when it is held off."""

    deaths: tuple[Death, ...] = ()
    holds: int = 0
    until_s: float = float("-inf")

    @property
    def empty(self) -> bool:
        """Whether there is no evidence, and was no hold."""
        return not self.deaths and not self.holds


NOTHING = Record()


def died(record: Record, death: Death, policy: SuspicionPolicy) -> Record:
    """Returns the record after a replica's death under a request of this kind.

    A kind that was held off before is held off again after one death of full weight.
    """
    # A death during a hold is of a request that had begun before the hold.
    if (
        not death.sound
        or death.at_s < record.until_s
        or any((known.replica, known.at_s) == (death.replica, death.at_s) for known in record.deaths)
    ):
        return record
    recent = tuple(known for known in record.deaths if death.at_s - known.at_s < policy.window_s)
    deaths = (*recent, death)
    again = record.holds > 0 and death.weight == 1
    if not again and not is_suspect(deaths, policy):
        return replace(record, deaths=deaths)
    hold_s = min(policy.hold_s * 2**record.holds, policy.max_hold_s)
    # The limit keeps the power of two in the range of a float.
    return Record((), min(record.holds + 1, 30), death.at_s + hold_s)


def is_suspect(deaths: tuple[Death, ...], policy: SuspicionPolicy) -> bool:
    """Whether `deaths`, the oldest first, make a kind suspect.

    `policy.deaths` of them do where the last one was silent. Otherwise the sum of their weights must reach that.
    """
    if len(deaths) < policy.deaths:
        return False
    return deaths[-1].silent or sum(death.weight for death in deaths) >= policy.deaths


def began(record: Record, *, midway: bool) -> Record:
    """Returns the record after an answer of this kind began, or, `midway`, its continuation: replicas that died before
    that place died of another cause."""
    deaths = () if midway else tuple(death for death in record.deaths if death.midway)
    return replace(record, deaths=deaths)


def standing(record: Record, now_s: float) -> Standing:
    """Tells whether requests of this kind may go to replicas: `free`, one at a time on `trial`, or not while `held`."""
    if now_s < record.until_s:
        return "held"
    at_start = any(death.silent and not death.midway for death in record.deaths)
    return "trial" if record.holds or at_start else "free"


def is_over(record: Record, now_s: float, policy: SuspicionPolicy) -> bool:
    """Whether a record can be forgotten. A hold is remembered for `max_hold_s` after its end, so that the next one can
    be longer, and a death for as long as it counts."""
    if record.holds and now_s < record.until_s + policy.max_hold_s:
        return False
    return all(now_s - death.at_s >= policy.window_s for death in record.deaths)
