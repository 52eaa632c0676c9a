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
        """Keeps it at the share that it has, and its plan's time stands still. What is bad still rolls it back."""
        _check(canary, ("running",), to="be paused")
        by = _told(actor, why)
        changes = {"phase": "paused", "paused_by": by, "reason": f"paused by {by}"}
        return self._canaries.change(canary, changes, actor=actor, said="canary.pause", why=why)

    def resume(self, canary: CanaryRecord, *, actor: str, why: str | None, ahead: bool = False) -> CanaryRecord:
        """Ends a pause, or opens the gate that it waits at: never both, so that of two who both end one pause neither
        opens a gate that he has not seen. `ahead`: opens the next gate before it is reached."""
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
            said = f"gate before {gate:g}% opened by {_told(actor, why)}"
            changes = {"phase": "running", "passed": True, "reason": said}
        return self._canaries.change(canary, changes, actor=actor, said="canary.resume", why=why)

    def abort(self, canary: CanaryRecord, *, actor: str, why: str | None) -> CanaryRecord:
        """Ends it: no router sends it anything more, and `stable` does not come to mean it."""
        _check(canary, (*_UNDECIDED, "promoting"), to="be aborted")
        changes = {"phase": "rolling_back", "reason": f"aborted by {_told(actor, why)}", "weight": 0.0}
        return self._canaries.end(
            CanaryEnd(canary=canary, changes=changes, actor=actor, said="canary.abort", why=why or "aborted")
        )

    def under_way(self, adapter: str) -> CanaryRecord | None:
        """The canary of an adapter that has not ended, and is not on its way out."""
        try:
            found = self._canaries.live(adapter)
        except NotFound:
            return None
        return found if found.pool is None and found.phase != "rolling_back" else None


def _gate_of(canary: CanaryRecord, *, ahead: bool) -> float:
    """The percent of callers behind the gate that is to be opened. Raises Conflict where none waits to be."""
    gate = canary.next_gate
    if gate is None:
        raise Conflict(f"Nothing of the canary of {canary.subject} is paused, and no closed gate is before it.")
    if not ahead and not canary.is_at_gate:
        raise Conflict(
            f"Nothing of the canary of {canary.subject} is paused, and the gate before {gate:g}% is not reached yet.",
            hint="Resume it then; or open the gate ahead: --gate, over HTTP 'gate': true.",
        )
    return gate


def give_way(canary: CanaryRecord, *, actor: str, said: str, at: datetime) -> CanaryEnd:
    """How it ends because somebody moves `stable`, so that there is nothing to compare with any more. `said`: what they
    do; `at`: now, by the registry's clock."""
    changes = _over("failed", f"'stable' was moved meanwhile: {said}", at)
    return CanaryEnd(canary=canary, changes=changes, actor=actor, said="canary.failed", why=said)


def fulfil(canary: CanaryRecord, *, actor: str, why: str | None, at: datetime) -> CanaryEnd:
    """How it ends, as promoted, because somebody makes `stable` mean its revision at once."""
    changes = _over("promoted", f"made stable by {_told(actor, why)}", at)
    return CanaryEnd(canary=canary, changes=changes, actor=actor, said="canary.promoted", why=why or "made stable")


def _over(phase: str, reason: str, at: datetime) -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "weight": 0.0, "ended_at": at}


def _check(canary: CanaryRecord, phases: Collection[str], *, to: str) -> None:
    if canary.phase not in phases:
        stands = canary.phase.replace("_", " ")
        raise Conflict(f"The canary of {canary.subject} is {stands} ({canary.reason}), so it cannot {to}.")


def _told(actor: str, why: str | None) -> str:
    return f"{actor}: {why}" if why else actor
