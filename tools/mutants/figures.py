"""The figures of a room's mutants: how many of each fate, and the share that was killed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from tools.mutants.children import Fate

_Z = 1.959964


@dataclass(frozen=True, slots=True)
class MutantFigures:
    """Figures of a room's mutants.

    `room`: its folder; `possible`: all mutants that there are; `killed`, `timed_out`, `survived`: how many of those
    that were tried, with the ones that no test reaches among the survivors; `left_out`: tests that were too slow or
    fail on unchanged code; `survivors`: file, line, before and after of each.
    """

    room: str
    possible: int
    killed: int
    timed_out: int
    survived: int
    left_out: int
    survivors: tuple[str, ...]

    @property
    def tried(self) -> int:
        """The number of mutants that were tried."""
        return self.killed + self.timed_out + self.survived

    @property
    def share(self) -> float:
        """The share of mutants that tests noticed: one that never ends is noticed, too."""
        return (self.killed + self.timed_out) / self.tried if self.tried else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the share."""
        return wilson(self.killed + self.timed_out, self.tried)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Returns Wilson's 95% interval of a share."""
    if not trials:
        return 0.0, 1.0
    share, square = successes / trials, _Z * _Z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z / (1 + square / trials) * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def figures_of(room: str, fates: Iterable[tuple[str, Fate]], *, possible: int, left_out: int) -> MutantFigures:
    """Counts the fates of a room's mutants, each with the mutant in words."""
    known = list(fates)
    missed = (Fate.SURVIVED, Fate.UNREACHED)
    return MutantFigures(
        room=room,
        possible=possible,
        killed=sum(fate is Fate.KILLED for _, fate in known),
        timed_out=sum(fate is Fate.TIMED_OUT for _, fate in known),
        survived=sum(fate in missed for _, fate in known),
        left_out=left_out,
        survivors=tuple(f"{text}{_NOTES.get(fate, '')}" for text, fate in known if fate in missed),
    )


_NOTES = {Fate.UNREACHED: "  (no test reaches it)"}
