"""A canary's looks made again from what it was judged by. Pure."""

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
    """One look. `again`: the verdict as it is made now; `ledger`: what it was made by."""

    look: Look
    again: dict[str, Any]
    ledger: Ledger

    @property
    def same(self) -> bool:
        """Whether the stored verdict is this one."""
        return dict(self.look.verdict) == self.again


def replayed(plan: PlanConfig, looks: Sequence[Look]) -> Iterator[Replayed]:
    """Every look at which the evidence was judged, in order."""
    ledger = Ledger.opened(plan)
    for look in looks:
        ledger = with_tallies(plan, ledger, look.tallies)
        if "place" in look.verdict:
            place = PlanPosition(**dict(zip(_POSITION, look.verdict["place"], strict=False)))
            yield Replayed(look, verdict_json(plan, ledger, place, look.verdict["now_s"]), ledger)
