"""The verdict on a run: its scenario's targets, and whether each was met. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.load.figures import Figures, Spread
from loadtests.load.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one target. `found`: None where nothing was there to measure, which does not meet it."""

    name: str
    wanted: str
    found: str | None
    met: bool


def judge(scenario: Scenario, figures: Figures, canary_phase: str | None = None) -> tuple[Judged, ...]:
    """Every target of the scenario. `canary_phase`: how its canary stands at the end, if it has one."""
    slo, counted = scenario.slo, figures.counted
    judged = [
        *_least("availability", slo.availability, counted.availability),
        *_most_share("error share", slo.error_share, counted.error_share),
        *_most_s("time to first token, p95", slo.ttft_p95_s, counted.ttft),
        *_most_s("time per token after it, p95", slo.token_time_p95_s, counted.token_time),
    ]
    if scenario.canary is not None and scenario.canary.ends is not None:
        wanted = scenario.canary.ends
        judged.append(Judged("canary", wanted, canary_phase, canary_phase == wanted))
    return tuple(judged)


def all_met(judged: Sequence[Judged]) -> bool:
    """Whether every target is met; without any, yes."""
    return all(target.met for target in judged)


def _least(name: str, wanted: float | None, found: float) -> list[Judged]:
    if wanted is None:
        return []
    return [Judged(name, f"at least {wanted:.2%}", f"{found:.2%}", found >= wanted)]


def _most_share(name: str, wanted: float | None, found: float) -> list[Judged]:
    if wanted is None:
        return []
    return [Judged(name, f"at most {wanted:.2%}", f"{found:.2%}", found <= wanted)]


def _most_s(name: str, wanted: float | None, found: Spread | None) -> list[Judged]:
    if wanted is None:
        return []
    if found is None:
        return [Judged(name, f"at most {1000 * wanted:g} ms", None, False)]
    return [Judged(name, f"at most {1000 * wanted:g} ms", f"{1000 * found.p95:.1f} ms", found.p95 <= wanted)]
