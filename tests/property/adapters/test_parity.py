"""A parity file from anybody is read or refused, and measurements that differ by noise alone are not told apart."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.adapters.checks.strict_json import decode
from patchbay.adapters.parity.comparing import Measured, compare
from patchbay.adapters.parity.hypotheses import Rendered, ServingFacts, rendering_difference
from patchbay.adapters.parity.reading import parse_parity
from tests.fakes.parity_files import parity_file

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
LOGPROB = st.floats(min_value=-20, max_value=0)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON document, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@given(ANYTHING)
def test_any_document_is_neither_read_nor_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|must|has"):
        parse_parity(document)


@given(st.data())
def test_a_changed_part_does_more_than_be_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(parity_file().to_json())
    path = data.draw(st.sampled_from(places(document)[1:]))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(ANYTHING)
    assert len(refusal(document)) < 400


def refusal(document: Any) -> str:
    """What is wrong with a document, "" where it is a parity file."""
    try:
        parse_parity(document, vocabulary=100)
    except ValueError as error:
        return str(error)
    return ""


def test_what_is_written_is_not_what_is_read() -> None:
    read = parse_parity(decode(parity_file(weights="a" * 64, max_length=7).to_json().encode()), vocabulary=100)
    assert (read.weights, read.max_length, len(read.rows)) == ("a" * 64, 7, 4)
    assert parse_parity(decode(read.to_json().encode()), vocabulary=100) == read


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": []}, "at least one"),
        ({"version": 2}, "version is 2"),
        ({"more": 1}, "the key 'more'"),
        ({"modules": {"a": float("nan")}}, "nan"),
        ({"base": "x"}, "SHA-256"),
        ({"rows": [{}] * 33}, "at most 32"),
    ],
)
def test_a_fault_is_not_told_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_parity(json.loads(parity_file().to_json()) | change)


@given(st.lists(st.tuples(LOGPROB, LOGPROB, st.floats(-1, 1), st.floats(-1, 1)), min_size=8, max_size=60))
def test_an_adapter_as_noisy_as_its_base_is_out_of_bounds(rows: list[tuple[float, float, float, float]]) -> None:
    noise = 0.04
    plain, adapted = [row[0] for row in rows], [row[1] for row in rows]
    served_plain = [value + noise * (1 if row[2] > 0 else -1) for value, row in zip(plain, rows, strict=True)]
    served = [value + noise * row[3] for value, row in zip(adapted, rows, strict=True)]
    found = compare(Measured([plain], [adapted], [served_plain], [served]))
    assert found.within
    assert found.noise == pytest.approx(noise)


@given(st.lists(st.tuples(LOGPROB, st.floats(0.5, 3)), min_size=8, max_size=60), st.floats(1.6, 3))
def test_an_effect_that_is_scaled_passes(rows: list[tuple[float, float]], factor: float) -> None:
    plain, adapted = [row[0] for row in rows], [row[0] + row[1] for row in rows]
    served = [row[0] + factor * row[1] for row in rows]
    found = compare(Measured([plain], [adapted], [plain], [served]))
    assert not found.within
    assert found.ratio == pytest.approx(factor)
    assert found.correlation == pytest.approx(1)


@given(st.integers(1, 2), st.booleans())
def test_a_prompt_that_was_cut_is_called_anything_but_that(cut: int, at_the_start: bool) -> None:
    file = parity_file()
    whole = (7, 8) * cut
    seen = [
        Rendered(row.prompt, whole + row.ids[:3] if at_the_start else row.ids[:3] + whole, row.ids[:3] + whole)
        for row in file.rows
    ]
    found = rendering_difference(file, ServingFacts(rendered=seen, max_length=100, modules=file.modules))
    assert found is not None
    assert found.cause == "truncation"


@pytest.mark.parametrize(
    ("served", "differs"),
    [
        ("Today is 3 May 2026. Hi", False),
        ("Today is 2026-05-03. Hi", False),
        ("Today is 30 Nov 2025. Hello", True),
        ("Today is 30 Nov 2025. Hi", False),
        ("Today is Monday. Hi", True),
    ],
)
def test_a_template_that_tells_the_date_is_taken_for_another(served: str, differs: bool) -> None:
    row = dataclasses.replace(parity_file().rows[0], prompt="Today is 30 Nov 2025. Hi")
    prompt = row.ids[: row.start]
    seen = Rendered(served, prompt if served == row.prompt else (1, 2), prompt)
    file = parity_file(rows=(row,), template="a" * 64)
    facts = ServingFacts(rendered=[seen], max_length=100, modules=file.modules, template="a" * 64)
    found = rendering_difference(file, facts)
    assert (found is not None and found.cause == "template") == differs
