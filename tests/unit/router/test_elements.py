"""The bound on a body's elements."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import InvalidRequest, TooManyElements
from patchbay.core.json_body import decoded
from patchbay.router.http import body_elements as elements
from patchbay.router.http.body_elements import check_elements

MIB = 1024 * 1024
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text('ab",:[]{}\\\n', max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text('a",\\', max_size=4), inner, max_size=5),
    max_leaves=30,
)


def count(value: Any) -> int:
    """A comma between two, a colon in each pair, and a bracket each."""
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(count, value))
    if isinstance(value, dict):
        return 1 + max(0, len(value) - 1) + len(value) + sum(map(count, value.values()))
    return 0


@given(json_values, st.integers(1, 40), st.booleans())
def test_what_stands_in_strings_counts_or_what_does_not_is_missed(value: Any, size: int, escape: bool) -> None:
    body, most = json.dumps(value, ensure_ascii=escape).encode(), count(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_SLICE", size)
        check_elements(body, most)
        if most:
            with pytest.raises(TooManyElements):
                check_elements(body, most - 1)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_bytes_that_are_no_json_are_a_fault(body: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_SLICE", size)
        check_elements(body * 3, 200)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"1,", b'"",', b'"a":1,'])
def test_ten_megabytes_of_elements_are_let_through(unit: bytes) -> None:
    body = b'{"model":"m","messages":[' + unit * (10 * MIB // len(unit)) + b"0]}"
    with pytest.raises(TooManyElements, match="more than 150000 elements"):
        check_elements(body, 150_000)


@pytest.mark.parametrize("text", ["a, b: [c] {d} ", '"', "\\", '\\"', "é,"])
def test_a_long_text_is_refused_for_its_punctuation(text: str) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text * (MIB // len(text))}]}).encode()
    check_elements(body, 1000)


@pytest.mark.parametrize("body", [b"[1e999]", b"[" * 100_000 + b"]" * 100_000, b'["\\ud800"]'])
def test_a_number_or_a_depth_that_nothing_holds_is_a_fault_of_the_router(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decoded(body)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_another_one(value: float) -> None:
    assert decoded(json.dumps([value]).encode()) == [value]
