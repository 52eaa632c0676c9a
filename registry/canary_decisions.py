"""The decisions of people about a canary: promote, pause, resume, abort. Every method blocks."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from patchbay.core.errors import Conflict, NotFound
from patchbay.registry.canaries import Canaries
from patchbay.registry.canary_records import CanaryEnd, CanaryPhase, CanaryRecord

_UNDECIDED: tuple[CanaryPhase, ...] = ("pending", "warming", "running", "paused")


class CanaryMoves:
    """The decisions on the canaries of one registry.

    Each raises NotFound, and Conflict where the canary is another than `canary` by now, has ended, or is past the point
    at which that can be decided.
    """

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    def promote(self, canary: CanaryRecord, *, actor: str, why: str | None) -> CanaryRecord:
        """Has `stable` mean the revision, whatever the evidence says."""
        _check(canary, _UNDECIDED, to="be promoted")
        return self._canaries.promote(canary, actor=actor, why=why)

    def pause(self, canary: CanaryRecord, *, actor: str, why: str | None) -> CanaryRecord:
        """Keeps the canary at its present share, and stops its plan's clock. Evidence that it is worse still rolls it
        back."""
        _check(canary, ("running",), to="be paused")
        by = _told(actor, why)
        changes = {"phase": "paused", "paused_by": by, "reason": f"paused by {by}"}
        return self._canaries.change(canary, changes, actor=actor, action="canary.pause", why=why)

    def resume(self, canary: CanaryRecord, *, actor: str, why: str | None, ahead: bool = False) -> CanaryRecord:
        """Ends a pause, or opens the gate that the canary waits at.

        Never both, so that of two people who end the same pause neither opens a gate unseen. `ahead`: opens the next
        gate before it is reached.
        """
        _check(canary, ("running", "paused"), to="go on")
        if canary.phase == "paused":
            if ahead:
                raise Conflict(
                    f"The canary of {canary.subject} is paused by {canary.paused_by}.",
                    hint="End the pause first (resume), and then open the gate.",
                )
            changes: dict[str, object] = {"phase": "running", "reason": f"pause ended by {_told(actor, why)}"}
        else:
            gate = _gate_of(canary, ahead=ahead)
            opened = f"gate before {gate:g}% opened by {_told(actor, why)}"
            changes = {"phase": "running", "passed": True, "reason": opened}
        return self._canaries.change(canary, changes, actor=actor, action="canary.resume", why=why)

    def abort(self, canary: CanaryRecord, *, actor: str, why: str | None) -> CanaryRecord:
        """Ends the canary: no router sends it anything more, and `stable` does not come to mean it."""
        _check(canary, (*_UNDECIDED, "promoting"), to="be aborted")
        changes = {"phase": "rolling_back", "reason": f"aborted by {_told(actor, why)}", "weight": 0.0}
        return self._canaries.end(
            CanaryEnd(canary=canary, changes=changes, actor=actor, action="canary.abort", why=why or "aborted")
        )

    def under_way(self, adapter: str) -> CanaryRecord | None:
        """Returns the canary of an adapter that has not ended and is not being rolled back, None where there is
        none."""
        try:
            found = self._canaries.live(adapter)
        except NotFound:
            return None
        return found if found.pool is None and found.phase != "rolling_back" else None


def _gate_of(canary: CanaryRecord, *, ahead: bool) -> float:
    """Returns the percentage of callers behind the gate to open. Raises Conflict where no gate waits."""
    gate = canary.next_gate
    if gate is None:
        raise Conflict(f"The canary of {canary.subject} is not paused, and no closed gate is before it.")
    if not ahead and not canary.is_at_gate:
        raise Conflict(
            f"The canary of {canary.subject} is not paused, and has not reached the gate before {gate:g}% yet.",
            hint="Resume it at the gate, or open the gate ahead: --gate, over HTTP 'gate': true.",
        )
    return gate


def give_way(canary: CanaryRecord, *, actor: str, cause: str, at: datetime) -> CanaryEnd:
    """Makes the end of a canary that has nothing to compare with any longer, since somebody moves `stable`.

    `cause`: the move, as text; `at`: now, by the registry's clock.
    """
    changes = _over("failed", f"'stable' was moved meanwhile: {cause}", at)
    return CanaryEnd(canary=canary, changes=changes, actor=actor, action="canary.failed", why=cause)


def fulfil(canary: CanaryRecord, *, actor: str, why: str | None, at: datetime) -> CanaryEnd:
    """Makes the end, as promoted, of a canary whose revision somebody makes `stable` at once. `at`: now, by the
    registry's clock."""
    changes = _over("promoted", f"made stable by {_told(actor, why)}", at)
    return CanaryEnd(canary=canary, changes=changes, actor=actor, action="canary.promoted", why=why or "made stable")


def _over(phase: str, reason: str, at: datetime) -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "weight": 0.0, "ended_at": at}


def _check(canary: CanaryRecord, phases: Collection[str], *, to: str) -> None:
    if canary.phase not in phases:
        phase = canary.phase.replace("_", " ")
        raise Conflict(f"The canary of {canary.subject} is {phase} ({canary.reason}), so it cannot {to}.")


def _told(actor: str, why: str | None) -> str:
    return f"{actor}: {why}" if why else actor
