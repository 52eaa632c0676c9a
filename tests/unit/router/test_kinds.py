import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.forward.request_kind import kind_of

KEY = b"k" * 32
ASKED: dict[str, Any] = {
    "model": "sql",
    "messages": [{"role": "user", "content": "héllo", "name": "x"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": 2}}}],
    "temperature": 0.5,
}


def kind(fields: Any, name: str = "sql@1-0", key: bytes = KEY) -> bytes:
    return kind_of(name, json.dumps(fields).encode(), key)


@pytest.mark.parametrize(
    "other",
    [
        {"model": "sql@1"},
        {"user": "u", "seed": 1, "stream": True, "metadata": {}, "temperature": 1, "max_tokens": 7, "store": False},
        {"logprobs": None, "system": None},
        {"messages": [{"name": "x", "content": "héllo", "role": "user"}]},
        {"something": "unknown"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_nothing_to_an_engine_or_its_prompt_makes_no_other_kind(other: dict[str, Any]) -> None:
    assert kind(ASKED) == kind({**ASKED, **other})
    spaced = json.dumps({**other, **{k: v for k, v in ASKED.items() if k not in other}}, indent=3, ensure_ascii=False)
    assert kind(ASKED) == kind_of("sql@1-0", spaced.encode(), KEY)


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "user", "content": "hello"}]},
        {"tools": []},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_other_work_is_another_kind(other: dict[str, Any]) -> None:
    assert kind(ASKED) != kind({**ASKED, **other})


def test_models_and_keys_make_other_kinds() -> None:
    assert len({kind(ASKED), kind(ASKED, "sql@2-0"), kind(ASKED, key=b"o" * 32)}) == 3


@given(st.binary(max_size=200))
def test_any_body_has_a_kind(body: bytes) -> None:
    assert kind_of("m", body, KEY) == kind_of("m", body, KEY)


def test_what_is_large_is_hashed_as_it_came_and_its_fields_may_still_change_places() -> None:
    large = {"messages": [{"role": "user", "content": "x" * 100_000}]}
    first = msgspec.json.encode({**large, "user": "a", "model": "m"})
    other = msgspec.json.encode({"model": "n", "seed": 1, **large})
    assert kind_of("m", first, KEY) == kind_of("m", other, KEY)
