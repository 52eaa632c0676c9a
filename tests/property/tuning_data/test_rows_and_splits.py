"""Rows come back from their lines, splits are stable, readers read what was written, and mends are made once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.tuning.data.agreement import krippendorff_alpha
from patchbay.tuning.data.formats import RecordReading, convert
from patchbay.tuning.data.mixing import MixPlan, quotas
from patchbay.tuning.data.near import leaders, shingles, similarity
from patchbay.tuning.data.reading import records
from patchbay.tuning.data.rows import RowFault, read_row, row_of
from patchbay.tuning.data.splitting import SplitPlan, group_key, place_groups, split_rows
from patchbay.tuning.data.texts import mended, oddities

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXT})
CHAT = st.lists(MESSAGE, max_size=4).map(lambda turns: {"messages": [*turns, {"role": "assistant", "content": "x"}]})
KEYS = (
    "messages",
    "conversations",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "label",
    "tools",
    "instruction",
    "output",
    "tags",
)
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@QUIET
@given(CHAT)
def test_a_row_comes_back_from_its_line(document: dict[str, Any]) -> None:
    row = row_of(document)
    assert read_row(row.line()) == row
    assert row_of(json.loads(row.line())).digest == row.digest


@QUIET
@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(MESSAGE, max_size=3), max_size=5))
def test_any_record_is_a_row_or_a_fault_in_words(record: dict[str, Any]) -> None:
    try:
        row = convert(record, RecordReading()).row
    except RowFault as fault:
        said = fault.message
    else:
        said = "a row"
        assert read_row(row.line()) == row
    assert said


@QUIET
@given(
    values=st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=6),
    form=st.sampled_from(["list", "lines", "indented"]),
)
def test_json_is_read_as_the_library_reads_it(values: list[Any], form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if form == "lines":
        path.write_text("\n".join(json.dumps(value) for value in values), encoding="utf-8")
    else:
        path.write_text(json.dumps(values, indent=2 if form == "indented" else None), encoding="utf-8")
    assert [found.record for found in records(path)] == values


@QUIET
@given(TEXT)
def test_mends_are_made_once_and_leave_nothing_to_mend(text: str) -> None:
    once, _ = mended(text)
    assert mended(once) == (once, [])
    assert set(oddities(once)) <= {"replacement"}


ASKED = st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=30)


@QUIET
@given(ASKED, ASKED, st.integers(0, 5))
def test_a_row_keeps_its_split_whatever_is_added_and_however_it_is_ordered(
    first: list[str], more: list[str], seed: int
) -> None:
    plan = SplitPlan(seed=seed, near=None)
    rows = [
        row_of({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "x"}]})
        for text in first
    ]
    others = [
        row_of({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "x"}]})
        for text in more
    ]
    alone = dict(zip(map(group_key, rows), split_rows(rows, plan), strict=True))
    grown = [*others, *rows]
    together = dict(zip(map(group_key, grown), split_rows(grown, plan), strict=True))
    assert {key: together[key] for key in alone} == alone


@QUIET
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.data())
def test_near_rows_go_together_and_placed_ones_stay(keys: list[int], data: st.DataObject) -> None:
    names = [str(key) for key in keys]
    leader = [data.draw(st.sampled_from([at, *range(at)])) for at in range(len(keys))]
    # A leader leads itself.
    leader = [first if leader[first] == first else at for at, first in enumerate(leader)]
    before = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(["train", "test"]), max_size=3))
    placed = place_groups(names, leader, SplitPlan(before=before))
    assert all(len({split for name, split in zip(names, placed, strict=True) if name == one}) == 1 for one in names)
    assert all(before[name] == split for name, split in zip(names, placed, strict=True) if name in before)


@QUIET
@given(ASKED)
def test_leaders_lead_themselves_and_are_near(texts: list[str]) -> None:
    sets = [shingles(text) for text in texts]
    found = leaders(sets, 0.8)
    for at, first in enumerate(found):
        assert found[first] == first <= at
        assert first == at or similarity(sets[at], sets[first]) >= 0.8


@QUIET
@given(st.dictionaries(st.sampled_from("abc"), st.tuples(st.floats(0.1, 9), st.integers(0, 500)), min_size=1))
def test_a_mixture_takes_no_more_than_there_is_and_keeps_its_weights(sources: dict[str, tuple[float, int]]) -> None:
    plan = MixPlan(weights={name: weight for name, (weight, _) in sources.items()})
    taken = quotas(plan, {name: rows for name, (_, rows) in sources.items()})
    total, whole = sum(taken.values()), sum(plan.weights.values())
    for name, (weight, rows) in sources.items():
        assert 0 <= taken[name] <= rows
        assert abs(taken[name] - total * weight / whole) <= len(sources)


def slow_alpha(units: list[list[str]]) -> float | None:
    """Alpha by its definition: pairs of values within units against all pairs, one by one."""
    pairable = [unit for unit in units if len(unit) >= 2]
    values = [value for unit in pairable for value in unit]
    expected = sum(one != other for a, one in enumerate(values) for b, other in enumerate(values) if a != b)
    if not expected:
        return None
    observed = sum(
        (one != other) / (len(unit) - 1)
        for unit in pairable
        for a, one in enumerate(unit)
        for b, other in enumerate(unit)
        if a != b
    )
    return 1 - (observed / len(values)) / (expected / (len(values) * (len(values) - 1)))


@QUIET
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=8))
def test_alpha_is_what_its_definition_gives(units: list[list[str]]) -> None:
    slow, fast = slow_alpha(units), krippendorff_alpha(units)
    assert fast == (pytest.approx(slow) if slow is not None else None)


def test_shares_come_out_as_they_were_asked_for() -> None:
    rows = [
        row_of({"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "x"}]})
        for n in range(4000)
    ]
    counts = Counter(split_rows(rows, SplitPlan(near=None)))
    assert 3100 < counts["train"] < 3300
    assert 340 < counts["test"] < 460
