"""YAML files: what a plain word stands for is as YAML 1.2 says, and what is no sound file is an error of the file."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import ConfigError
from patchbay.core.settings import load_yaml
from patchbay.core.yaml_text import parse_yaml, yaml_text


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-0", 0),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("1:30.5", "1:30.5"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("~", None),
        ("", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("2027-01-01", "2027-01-01"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        (".", "."),
    ],
)
def test_a_plain_word_stands_for_what_another_yaml_says(word: str, value: Any) -> None:
    read = parse_yaml(f"a: {word}")["a"]
    assert read == value
    assert type(read) is type(value)


def test_a_key_that_was_a_boolean_is_a_word() -> None:
    assert parse_yaml("{on: [input], yes: no}") == {"on": ["input"], "yes": "no"}
    assert yaml.safe_load("on: 1") == {True: 1}, "others' YAML is changed, too"


def test_merges_are_not_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: [*b, *a], z: 4}\n"
    assert parse_yaml(text) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 3, "y": 2, "z": 4}}


@pytest.mark.parametrize(
    "text", ["guards: {a: 1}\nguards: {}", "a: {b: 1, b: 1}", "x: " + "[" * 100_000, "a: " + "9" * 10_000, "a: !!int x"]
)
def test_a_file_that_is_unsound_is_taken_or_a_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is not valid YAML: "):
        load_yaml(tmp_path / "c.yaml")


_WORDS = st.sampled_from(
    ["on", "1e3", "010", "0o7", "0x1f", ".5", "~", "", "true", "1:30", "<<", "2027-01-01", "null", "1_0"]
)
_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | _WORDS, inner, max_size=3),
    max_leaves=10,
)


@given(data=_DATA)
def test_what_is_written_is_read_as_something_else(data: Any) -> None:
    assert parse_yaml(yaml_text(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "a: !!bool abc",
        "a: !!timestamp abc",
        'a: !!float ""',
        "a: !!float _",
        "? !!bool x",
        'a: "\\UFFFFFFFF"',
        "a: !!int ''",
    ],
)
def test_a_value_that_its_tag_does_not_fit_is_a_fault_of_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load_yaml(tmp_path / "f.yaml")
