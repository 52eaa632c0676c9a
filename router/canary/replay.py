"""Replay of a canary: makes the verdicts of its looks again from the stored counts. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from patchbay.registry.canary_records import Look
from patchbay.router.canary.judge import PlanPosition
from patchbay.router.canary.ledger import Ledger
from patchbay.router.canary.phases import verdict_json, with_tallies
from patchbay.router.canary.plan import PlanConfig

# In the order in which a verdict has them.
_POSITION = ("step", "began_s", "step_s", "samples", "passed", "paused")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One look, judged again. `again`: the verdict as it is made now; `ledger`: the ledger that it was made from."""

    look: Look
    again: dict[str, Any]
    ledger: Ledger

    @property
    def same(self) -> bool:
        """Whether the stored verdict equals this one."""
        stored, again = dict(self.look.verdict), dict(self.again)
        if "no_worse" not in stored:
            # Looks of earlier versions do not have it.
            del again["no_worse"]
        return stored == again


def replayed(plan: PlanConfig, looks: Sequence[Look]) -> Iterator[Replayed]:
    """Yields every look at which the evidence was judged, in order."""
    ledger = Ledger.opened(plan)
    for look in looks:
        ledger = with_tallies(plan, ledger, look.tallies)
        if "place" in look.verdict:
            place = PlanPosition(**dict(zip(_POSITION, look.verdict["place"], strict=False)))
            yield Replayed(look, verdict_json(plan, ledger, place, look.verdict["now_s"]), ledger)
