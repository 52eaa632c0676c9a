"""What the watch says of histories, as a table, and what it never says."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.tuning.training.history import HistoryPoint, best_step
from patchbay.tuning.training.recipe import WatchSection
from patchbay.tuning.training.watch import look

FALLING = [2.0 - 0.04 * step for step in range(40)]


def history(
    trained: Sequence[float], validated: Sequence[float] = (), general: Sequence[float] = ()
) -> list[HistoryPoint]:
    """A history whose evaluations are spread evenly over its steps."""
    points = [HistoryPoint(step=step, loss=loss) for step, loss in enumerate(trained, start=1)]
    for kind, seen in (("validation", validated), ("general", general)):
        apart = len(trained) // max(1, len(seen) - 1)
        points += [HistoryPoint(step=apart * place, **{kind: value}) for place, value in enumerate(seen)]
    return sorted(points, key=lambda point: point.step)


CASES = [
    ("nothing", [], [], [], set()),
    ("one step", [2.0], [], [], set()),
    ("learns", FALLING, [2.0, 1.5, 1.0, 0.9, 0.8], [1.0, 1.0, 1.1, 1.1, 1.1], set()),
    ("no number", [*FALLING, math.nan], [], [], {"divergence"}),
    ("infinite", [math.inf], [], [], {"divergence"}),
    ("rises", [*FALLING, *(1.0 + 0.2 * step for step in range(20))], [], [], {"divergence"}),
    ("one bad batch", [*FALLING, 6.0], [], [], set()),
    ("doubles near nothing", [*(0.02 for _ in range(30)), *(0.06 for _ in range(10))], [], [], set()),
    ("by heart", FALLING, [2.0, 1.2, 1.0, 1.2, 1.4], [], {"overfitting"}),
    ("validation rises a little", FALLING, [2.0, 1.2, 1.0, 1.05, 1.09], [], set()),
    ("rises near nothing", FALLING, [2.0, 1.2, 0.001, 0.005, 0.01], [], set()),
    ("both rise", list(reversed(FALLING)), [1.0, 1.1, 1.2, 1.4, 1.6], [], {"divergence"}),
    ("forgets", FALLING, [], [1.0, 1.1, 1.3], {"forgetting"}),
    ("forgets a little", FALLING, [], [1.0, 1.1, 1.2], set()),
    ("forgot and came back", FALLING, [], [1.0, 1.5, 1.1], set()),
]


@pytest.mark.parametrize(
    ("trained", "validated", "general", "kinds"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_is_wrong_is_named(
    trained: list[float], validated: list[float], general: list[float], kinds: set[str]
) -> None:
    found = look(history(trained, validated, general), WatchSection())
    assert {one.kind for one in found} == kinds
    assert all(one.ends == (one.kind == "divergence") for one in found)


def test_overfitting_and_forgetting_end_a_run_that_is_told_so() -> None:
    found = look(history(FALLING, [2.0, 1.0, 1.2, 1.5], [1.0, 1.6]), WatchSection(then="end"))
    assert [(one.kind, one.ends) for one in found] == [("overfitting", True), ("forgetting", True)]


@given(st.lists(st.floats(0.5, 0.99), min_size=20, max_size=60))
def test_a_loss_that_only_falls_is_never_called_anything(factors: list[float]) -> None:
    falling = [3.0]
    for factor in factors:
        falling.append(falling[-1] * factor)
    assert look(history(falling, falling[::10], falling[::10]), WatchSection()) == []


def test_the_best_step_is_one_that_was_kept() -> None:
    points = history(FALLING, [2.0, 1.5, 1.0, 1.2, 1.4])
    assert best_step(points, [10, 20, 30, 40]) == 20
    assert best_step(points, [30, 40]) == 30
    assert best_step(history(FALLING), [10, 40]) == 40
    assert best_step(points, []) is None
