"""Which requests are suspected of ending the replicas that answer them ("queries of death"). Pure.

The evidence is deaths: a replica hung up, or fell silent, while it had a request of this kind. One death proves
nothing: all that a replica was doing dies with it, and all of it but one is innocent. So suspected is what was there at
a second death too, and:

- *silent* deaths count whole: nothing of the answer had come. A replica that had gone on with a request for a while
  before it died, with others beside it, has shown that it can. Such a death counts by how many there were, a quarter at
  least. (What ends a replica at a certain token is silent the next time, when another goes on from that token.)
- silence is no death for sure: an overloaded fleet is silent too. It counts by the company, as above.
- a replica that already failed at requests of other kinds, and at none since did it succeed, is unsound: what dies
  there next is no evidence against anybody.
- an answer to the same kind that begins clears it of what died before its beginning; one that is whole clears it of
  all.

What was never at a replica, but waited for its turn, has no evidence against it at all.

Source of the name: "query of death", B. Beyer et al. (eds.), "Site Reliability Engineering", 2016, chapter 22.
"""

from dataclasses import dataclass, replace
from typing import Literal

Standing = Literal["free", "trial", "held"]
_LEAST_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class SuspicionPolicy:
    """`deaths`: how many suspect a kind of request; `window_s`: for how long one counts; `hold_s`: for how long the
    kind is held off, doubled each next time up to `max_hold_s`."""

    deaths: int
    window_s: float
    hold_s: float
    max_hold_s: float


@dataclass(frozen=True, slots=True)
class Death:
    """A replica's death under a request. `at_s`: when it was noticed first, which makes it one death however many
    requests die of it; `silent`: nothing came of the answer, or of its rest; `midway`: the client has its beginning;
    `company`: the requests at the replica, this one too; `sound`: whether the replica was well until then."""

    replica: str
    at_s: float
    silent: bool
    midway: bool
    company: int
    sound: bool

    @property
    def weight(self) -> float:
        """How much it counts, up to 1."""
        return 1.0 if self.silent else max(1 / max(1, self.company), _LEAST_WEIGHT)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one kind of request. `deaths`: those that nothing has cleared it of; `holds`: how often it was
    held off in a row; `until_s`: till when it is."""

    deaths: tuple[Death, ...] = ()
    holds: int = 0
    until_s: float = float("-inf")

    @property
    def empty(self) -> bool:
        """Whether nothing is held against it."""
        return not self.deaths and not self.holds


NOTHING = Record()


def died(record: Record, death: Death, policy: SuspicionPolicy) -> Record:
    """After a replica's death under a request of this kind. A kind that was held off before is held off again at once,
    by what is evidence at all. What dies while it is held off had begun before."""
    if (
        not death.sound
        or death.at_s < record.until_s
        or any((one.replica, one.at_s) == (death.replica, death.at_s) for one in record.deaths)
    ):
        return record
    recent = tuple(one for one in record.deaths if death.at_s - one.at_s < policy.window_s)
    deaths = (*recent, death)
    again = record.holds > 0 and death.weight == 1
    if not again and not is_suspect(deaths, policy):
        return replace(record, deaths=deaths)
    hold_s = min(policy.hold_s * 2**record.holds, policy.max_hold_s)
    return Record((), min(record.holds + 1, 30), death.at_s + hold_s)


def is_suspect(deaths: tuple[Death, ...], policy: SuspicionPolicy) -> bool:
    """Whether so many deaths, in their order, are too many: `policy.deaths` of them where the last was silent, else
    where they weigh as much."""
    if len(deaths) < policy.deaths:
        return False
    return deaths[-1].silent or sum(one.weight for one in deaths) >= policy.deaths


def began(record: Record, *, midway: bool) -> Record:
    """After an answer of this kind has begun, or, `midway`, its rest: what died before that place died of another
    cause."""
    deaths = () if midway else tuple(one for one in record.deaths if one.midway)
    return replace(record, deaths=deaths)


def standing(record: Record, now_s: float) -> Standing:
    """Whether a request of this kind may go to replicas: `free`, one at a time on `trial`, or not at all."""
    if now_s < record.until_s:
        return "held"
    at_start = any(one.silent and not one.midway for one in record.deaths)
    return "trial" if record.holds or at_start else "free"


def is_over(record: Record, now_s: float, policy: SuspicionPolicy) -> bool:
    """Whether a record can be forgotten: a hold is remembered for as long again as the longest one."""
    if record.holds:
        return now_s >= record.until_s + policy.max_hold_s
    return all(now_s - one.at_s >= policy.window_s for one in record.deaths)
