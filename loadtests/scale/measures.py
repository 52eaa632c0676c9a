"""The figures of a simulated run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.scale.world import TTFT_S, Run

PER_TOKEN_S = 0.1


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the requests that came after the warm-up.

    `good`: the share whose first token came within a second and whose others took at most a tenth each; `p50_s`,
    `p99_s`: to the first token, infinite where there was none; `loads_per_s`: adapters that were loaded from disk, in
    all replicas; `busy`: the share of time in which engines worked; `moved`: requests that went on at another replica.
    """

    scenario: str
    policy: str
    replicas: int
    requests: int
    good: float
    p50_s: float
    p99_s: float
    loads_per_s: float
    busy: float
    moved: int
    refused: int


def figures(run: Run) -> Figures:
    """The figures of a run."""
    scenario = run.scenario
    counted = [job for job in run.jobs if job.at_s >= scenario.warm_s]
    first = sorted(job.ttft_s for job in counted)
    good = sum(job.ttft_s <= TTFT_S and job.per_token_s <= PER_TOKEN_S for job in counted)
    loads = sum(engine.loads for engine in run.engines) - run.loads_at_warm
    return Figures(
        scenario.name,
        run.policy,
        scenario.replicas,
        len(counted),
        good / len(counted) if counted else math.nan,
        quantile(first, 0.5),
        quantile(first, 0.99),
        loads / (run.took_s - scenario.warm_s),
        sum(engine.busy_s for engine in run.engines) / run.took_s / len(run.engines),
        sum(job.tries > 1 for job in counted),
        sum(job.refused for job in counted),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of `ordered` lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan
