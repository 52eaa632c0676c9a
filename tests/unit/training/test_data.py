"""Rows are read, checked and held out; what does not fit is named by its place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.data import RunRows, Sources, find_source, find_sources, mixed, read_all
from patchbay.tuning.training.recipe import load_recipe
from patchbay.tuning.training.rows import PlacedRow, RowPlace, UnlearnableRow, held_out, read_rows, row_of
from tests.fakes.training_runs import chats, write_recipe, write_rows

SAID = {"role": "assistant", "content": "yes"}
ASKED = {"role": "user", "content": "well?"}


@pytest.mark.parametrize(
    ("method", "row", "words"),
    [
        ("sft", "{", "not JSON"),
        ("sft", [1], "not an object"),
        ("sft", {"text": "x"}, "no messages"),
        ("sft", {"messages": []}, "no list of messages"),
        ("sft", {"messages": [ASKED]}, "not the assistant's"),
        ("sft", {"messages": [ASKED, {"role": "assistant", "content": ""}]}, "no text"),
        ("sft", {"messages": [{"content": "x"}, SAID]}, "no role"),
        ("dpo", {"prompt": "x", "chosen": "a"}, "no rejected"),
        ("orpo", {"prompt": "x", "chosen": "a", "rejected": "a"}, "the same"),
        ("kto", {"prompt": "x", "completion": "a", "label": 1}, "neither true nor false"),
        ("kto", {"prompt": [], "completion": "a", "label": True}, "no list of messages"),
    ],
)
def test_a_row_that_cannot_be_learned_from_says_why(method: Any, row: Any, words: str) -> None:
    line = row.encode() if isinstance(row, str) else json.dumps(row).encode()
    with pytest.raises(UnlearnableRow, match=words):
        row_of(line, method)


def test_bare_texts_become_messages() -> None:
    row = row_of(b'{"prompt": "a", "chosen": "b", "rejected": "c", "source": "x"}', "dpo")
    assert row == {
        "prompt": [{"role": "user", "content": "a"}],
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "c"}],
    }


def test_tools_and_their_calls_are_kept() -> None:
    called = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    row = row_of(json.dumps({"messages": [ASKED, called], "tools": [{"type": "function"}]}).encode(), "sft")
    assert row == {"messages": [ASKED, called], "tools": [{"type": "function"}]}


def test_rows_that_do_not_fit_are_listed_by_file_and_line(tmp_path: Path) -> None:
    good = json.dumps({"messages": [ASKED, SAID]})
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{good}\n\nnonsense\n{good}\n[]\n")
    with pytest.raises(ConfigError) as refused:
        read_rows([path], "sft")
    assert "2 rows" in str(refused.value)
    assert "rows.jsonl:3: it is not JSON" in str(refused.value)
    assert "rows.jsonl:5: it is not an object" in str(refused.value)


def test_a_validation_row_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    write_rows(tmp_path / "validation.jsonl", chats(2))
    with pytest.raises(ConfigError, match="2 rows to validate with are rows to train on"):
        read_all(recipe, find_sources(recipe))


def test_a_data_set_that_is_not_there_and_a_file_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file of rows"):
        find_source(str(tmp_path / "rows.jsonl"))


@given(st.lists(st.text(min_size=1), unique=True, min_size=1), st.text(min_size=1), st.floats(0.05, 0.4))
def test_rows_that_are_added_change_the_side_of_none(texts: list[str], added: str, share: float) -> None:
    def split(texts: list[str]) -> tuple[set[str], set[str]]:
        rows = [PlacedRow(RowPlace("f", number), {"text": text}) for number, text in enumerate(texts)]
        train, kept = held_out(rows, share)
        return {one.row["text"] for one in train}, {one.row["text"] for one in kept}

    train, kept = split(texts)
    assert train.isdisjoint(kept)
    assert train | kept == set(texts)
    later = split([*texts, added])
    assert train <= later[0]
    assert kept <= later[1]


def test_files_are_mixed_by_their_weights() -> None:
    files = [[PlacedRow(RowPlace(name, number), {"of": name, "n": number}) for number in range(200)] for name in "abc"]
    taken = [one.row["of"] for one in mixed(files, [1.0, 0.25, 2.0])]
    assert (taken.count("a"), taken.count("c")) == (200, 400)
    assert 30 < taken.count("b") < 70
    assert mixed(files, [0.0, 0.0, 1.0]) == files[2]


def test_a_share_is_about_as_large_as_it_says() -> None:
    rows = [PlacedRow(RowPlace("f", number), {"number": number}) for number in range(2000)]
    assert 150 < len(held_out(rows, 0.1)[1]) < 250


def test_the_digest_of_the_data_is_of_its_bytes_and_not_of_its_place(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        recipe = load_recipe(write_recipe(tmp_path / name))
        sources = find_sources(recipe)
        digests.append(sources.all_digests)
        assert Sources.from_json({part: [vars_of(one) for one in getattr(sources, part)] for part in PARTS}) == sources
    assert digests[0] == digests[1]
    rows: RunRows = read_all(recipe, sources)
    assert (len(rows.train), len(rows.validation), len(rows.general)) == (12, 4, 2)
    write_rows(tmp_path / "b" / "general.jsonl", chats(1))
    assert find_sources(recipe).all_digests != digests[0]
    assert find_sources(recipe).digest == sources.digest


PARTS = ("train", "validation", "general")


def vars_of(source: Any) -> dict[str, str]:
    return {"spec": source.spec, "path": source.path, "sha256": source.sha256}
