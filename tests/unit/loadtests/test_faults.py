"""How faults are chosen, counted and told. Without a router."""

import json
import random

import pytest

from loadtests.faults.callers import Counting, Seen
from loadtests.faults.commands import chosen_faults
from loadtests.faults.running import in_order
from loadtests.faults.tally import COLUMNS, Count, Tally
from loadtests.faults.world import wrong_count
from patchbay.core.errors import ConfigError


def test_a_seed_gives_the_same_order_and_every_fault_comes_before_one_comes_again() -> None:
    known = chosen_faults(())
    orders = [in_order(known, random.Random("7")) for _ in range(2)]  # noqa: S311 - an order, not a secret
    first = [next(orders[0]).name for _ in range(2 * len(known))]
    assert first == [next(orders[1]).name for _ in range(2 * len(known))]
    assert sorted(first[: len(known)]) == sorted(one.name for one in known)


def test_faults_are_chosen_by_a_part_of_their_names() -> None:
    assert {one.name for one in chosen_faults(("Redis",))} == {"Redis hung", "Redis killed", "Redis restarted"}
    with pytest.raises(ConfigError, match="There are: database locked"):
        chosen_faults(("nosuch",))


@pytest.mark.parametrize(
    ("kept", "answers", "unsure", "excused", "said"),
    [
        (10, 10, 0, 0, None),
        (9, 10, 0, 0, "usage lost: 9 are kept of 10, and 0 may be missing"),
        (9, 10, 0, 1, None),
        (11, 10, 0, 0, "usage counted twice: 11 are kept of 10, and of 0 nobody knows"),
        (11, 10, 1, 0, None),
    ],
)
def test_what_is_kept_is_what_was_answered(
    kept: int, answers: int, unsure: int, excused: int, said: str | None
) -> None:
    assert wrong_count("usage", kept, answers, unsure, excused) == said


def test_a_limit_is_that_of_each_minute_and_of_each_life_of_the_counters() -> None:
    seen = Seen()
    seen.of_minute[Counting("a", 1), 5] = 12
    seen.of_minute[Counting("a", 2), 5] = 12
    seen.of_minute[Counting("a", 2), 6] = 12
    assert seen.over(12) == 0
    seen.of_minute[Counting("a", 2), 6] += 3
    assert seen.over(12) == 3


def test_a_table_has_a_row_for_each_fault_and_says_what_could_not_be_tried() -> None:
    tally = Tally(seed=3, skipped={"wrong clock": "no library"})
    tally.row("killed").note(Count(5, 3, 0, 0, 0, 0, 0), Count(9, 6, 1, 0, 0, 2, 0), 1.5)
    lines = tally.markdown().splitlines()
    assert lines[0].count("|") == len(COLUMNS) + 1
    assert lines[2] == "| killed | 1 | 4 | 3 | 1 | 0 | 0 | 2 |  | 1.5 |"
    assert lines[-1].endswith("Not tried: wrong clock.")
    assert json.loads(tally.as_json())["rows"]["killed"]["opened"] == 1
