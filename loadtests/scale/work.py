"""The execution of a whole plan, on all cores. The order in which its parts end does not matter."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from typing import Any

from loadtests.scale.costs import decisions, operations, table_us
from loadtests.scale.measures import Figures, figures
from loadtests.scale.policies import ALL
from loadtests.scale.report import Measured, Simulated
from loadtests.scale.scenarios import Plan
from loadtests.scale.search import needed
from loadtests.scale.world import Scenario, run

_ADAPTERS = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """The receiver of progress: `steps` in all, `step` once for each with its name."""

    steps: Callable[[int], None]
    step: Callable[[str], None]


def simulate(plan: Plan, seed: int, pool: Executor, progress: Progress) -> Simulated:
    """Every scenario under every policy, the longest ones first."""
    cases = [(name, scenario, policy) for name, many in plan.groups.items() for scenario in many for policy in ALL]
    searches = [(scenario, policy) for scenario in plan.needed for policy in ALL]
    runs: dict[int, Future[Figures]] = {}
    begun: dict[Future[Any], str] = {}
    for place, (_, scenario, policy) in sorted(enumerate(cases), key=lambda case: -_weight(case[1][1])):
        runs[place] = pool.submit(_figures, scenario, policy, seed)
        begun[runs[place]] = f"{scenario.name}, {policy}"
    found = [pool.submit(needed, scenario, policy, seed) for scenario, policy in searches]
    begun |= {search: f"{scenario.name}, {policy}" for search, (scenario, policy) in zip(found, searches, strict=True)}
    progress.steps(len(begun))
    for done in as_completed(begun):
        progress.step(begun[done])
    groups: dict[str, list[Figures]] = {name: [] for name in plan.groups}
    for place, (name, _, _) in enumerate(cases):
        groups[name].append(runs[place].result())
    return Simulated(groups, [search.result() for search in found])


def measure(plan: Plan) -> Measured:
    """Measures what decisions and the registry cost here."""
    return Measured(
        decisions(plan.counts),
        operations(rounds=plan.rounds, adapters=_ADAPTERS),
        table_us(max(plan.counts) // 10, 500),
    )


def _weight(scenario: Scenario) -> float:
    """About how long it takes: a request costs the router time for each replica."""
    return scenario.traffic.per_s * scenario.traffic.seconds * scenario.replicas


def _figures(scenario: Scenario, policy: str, seed: int) -> Figures:
    return figures(run(scenario, policy, seed))
