"""Data sets are immutable, known by the digest of their rows, kept by backups and cleaned up when retired."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.errors import ConfigError, DataError, NotFound
from patchbay.tuning.data.resolve import resolve
from patchbay.tuning.data.rows import row_of
from patchbay.tuning.data.store import DataSets, Origin
from tests.unit.tuning_data.conftest import Run, pair, write_lines

Said = Callable[..., Any]
ROWS = [pair(f"Question {n}", f"Answer {n}") for n in range(5)]


def document(asked: str, answered: str = "A") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}


def kept(data: DataSets, *asked: str, name: str = "notes", split: str = "train") -> str:
    with data.writing() as writer:
        for one in asked:
            writer.add(row_of(document(one)), split)
        return data.keep(writer, name, Origin(), actor="me")[0].name


def test_the_same_rows_are_the_same_data_set_and_others_are_the_next(data: DataSets) -> None:
    assert [kept(data, "a", "b"), kept(data, "a", "b"), kept(data, "b", "a"), kept(data, "a", "b", name="x")] == [
        "notes@1",
        "notes@1",
        "notes@2",
        "x@1",
    ]
    first, second = data.registry.datasets.all("notes")
    assert first.draft.digest != second.draft.digest
    assert data.registry.datasets.by_digest(f"sha256:{first.draft.digest}") == first
    assert data.registry.datasets.by_digest("0" * 64) is None
    assert data.registry.datasets.resolve("notes") == second


def test_the_split_of_a_row_counts_for_the_digest(data: DataSets) -> None:
    assert kept(data, "a") == "notes@1"
    assert kept(data, "a", split="test") == "notes@2"


def test_rows_come_back_as_they_were_in_several_pieces(data: DataSets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchbay.tuning.data.store._PIECE", 200)
    name = kept(data, *(f"question {n}" for n in range(50)))
    record = data.registry.datasets.resolve(name)
    assert len(record.draft.files) > 5
    assert [row.asked for _, row in data.rows(record)] == [f"question {n}" for n in range(50)]


def test_a_data_set_has_one_kind(data: DataSets) -> None:
    vote = row_of({"prompt": "a", "completion": "b", "label": True})
    with data.writing() as writer:
        writer.add(row_of(document("a")))
        with pytest.raises(DataError, match="one kind"):
            writer.add(vote)


def test_a_killed_import_leaves_no_data_set_and_no_file(data: DataSets, tmp_path: Path) -> None:
    def interrupted() -> None:
        with data.writing() as writer:
            writer.add(row_of(document("a")))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert data.registry.datasets.all() == ()
    assert [path for path in data.staging.rglob("*") if path.is_file()] == []


def test_a_damaged_piece_is_noticed(data: DataSets, project: Path) -> None:
    record = data.registry.datasets.resolve(kept(data, "a"))
    [file] = record.draft.files
    stored = project / "home" / "artifacts" / "sha256" / file.sha256[:2] / file.sha256
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="not what it was"):
        list(data.rows(record))


def test_import_tells_what_it_found_and_keeps_what_does_not_fit(said: Said, project: Path) -> None:
    path = write_lines(project / "a.jsonl", [ROWS[0], {"mood": 1}, "{", ROWS[1], {"prompt": "p", "chosen": "a"}])
    made = said("import", str(path), "--name", "notes")
    assert (made["name"], made["rows"], made["found"]["rejected"]) == ("notes@1", 2, 3)
    rejects = [json.loads(line) for line in (project / "notes.rejects.jsonl").read_text().splitlines()]
    assert [(one["line"], one["record"]) for one in rejects] == [
        (2, {"mood": 1}),
        (3, "{"),
        (5, {"prompt": "p", "chosen": "a"}),
    ]
    assert "its keys are mood" in rejects[0]["reason"]


def test_rows_of_another_kind_are_rejected(said: Said, project: Path) -> None:
    path = write_lines(project / "a.jsonl", [ROWS[0], {"prompt": "p", "chosen": "a", "rejected": "b"}])
    made = said("import", str(path), "--name", "notes")
    assert "it is a preference row" in made["found"]["listed"][0]


def test_a_strict_import_and_one_without_rows_make_nothing(run: Run, said: Said, project: Path) -> None:
    path = write_lines(project / "a.jsonl", [ROWS[0], "{"])
    run("import", str(path), "--name", "notes", "--strict", code=1)
    run("import", str(write_lines(project / "b.jsonl", ["{"])), "--name", "notes", code=1)
    assert said("list") == []


def test_wrong_arguments_are_told_with_what_was_meant(run: Run, project: Path) -> None:
    path = str(write_lines(project / "a.jsonl", ROWS))
    for arguments, hint in (
        (("--map", "promt=a"), "did you mean 'prompt'"),
        (("--format", "chats"), "did you mean 'chat'"),
        (("--mark", "id"), "NAME=VALUE"),
    ):
        assert hint in run("import", path, "--name", "notes", *arguments, code=2).stderr
    assert "no adapter name" in run("import", path, "--name", "a b", code=3).stderr


def test_show_hides_what_guards_find(run: Run, project: Path) -> None:
    path = write_lines(project / "a.jsonl", [pair("I am ada@example.org", "Hello")])
    run("import", str(path), "--name", "notes", "--licence", "own")
    shown = run("show", "notes").stdout
    assert "[EMAIL]" in shown
    assert "own" in shown
    assert "ada@" not in shown
    assert "ada@" in run("show", "notes@1", "--unmasked").stdout
    assert "There is no data set" in run("show", "note", code=4).stderr


def test_resolve_finds_names_and_files(run: Run, project: Path) -> None:
    path = write_lines(project / "a.jsonl", ROWS)
    run("import", str(path), "--name", "notes")
    by_name, by_file = resolve("notes@1"), resolve(str(path))
    assert by_name.digest == by_file.digest
    assert (by_name.name, by_name.kind, by_name.rows, set(by_name.splits)) == ("notes@1", "chat", 5, {"train"})
    assert by_name.splits["train"].read_bytes() == by_file.splits["train"].read_bytes()
    with pytest.raises(NotFound):
        resolve("notes@2")
    with pytest.raises(ConfigError):
        resolve("nothing.jsonl")
    with pytest.raises(DataError, match="patchbay data import"):
        resolve(str(write_lines(project / "b.jsonl", [ROWS[0], "{"])))


def test_backups_keep_data_sets_and_a_clean_up_takes_only_retired_ones(run: Run, said: Said, project: Path) -> None:
    run("import", str(write_lines(project / "a.jsonl", ROWS)), "--name", "notes")
    app = build_app()

    def patchbay(*arguments: str) -> None:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output

    patchbay("backup", str(project / "saved"))
    with_rows = json.loads((project / "saved" / "manifest.json").read_text())
    assert len(with_rows["artifacts"]) == 1
    patchbay("adapters", "gc", "--older-than", "0")
    assert said("show", "notes")["first"]
    run("retire", "notes@1", "--why", "a customer asked")
    patchbay("adapters", "gc", "--older-than", "0")
    assert [path for path in (project / "home" / "artifacts").rglob("*") if path.is_file()] == []
    assert said("list")[0]["retired"]
