"""A revision is linked to its data set at push, and `why` walks from it to the rows and where they came from."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from patchbay.adapters.contents import MANIFEST_FILE
from patchbay.command import build_app
from patchbay.tuning.data.lineage import LineageStep, sampled, walk_back
from patchbay.tuning.data.store import DataSets
from tests.fakes.adapter_folder import write_adapter
from tests.unit.tuning_data.conftest import Run, pair, write_lines

Said = Callable[..., Any]


def patchbay(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == code, done.output
    return done


def adapter(project: Path, manifest: Mapping[str, str], fill: int = 1) -> str:
    folder = write_adapter(project / f"adapter-{fill}", fill=fill)
    lines = [f"{name}: {value}" for name, value in manifest.items()]
    (folder / MANIFEST_FILE).write_text("".join(f"{line}\n" for line in lines))
    return str(folder)


@pytest.fixture
def digest(said: Said, project: Path) -> str:
    """Of tickets@2, which was cleaned from tickets@1."""
    rows = [pair(f"Ticket {n} from ada{n}@example.org", "billing") for n in range(30)]
    said("import", str(write_lines(project / "a.jsonl", rows)), "--name", "tickets", "--licence", "own")
    return str(said("clean", "tickets", "--redact", "pii")["digest"])


def test_a_push_tells_which_data_set_it_was_trained_on(digest: str, project: Path) -> None:
    source = adapter(project, {"data_hash": f"sha256:{digest}"})
    pushed = json.loads(patchbay("adapters", "push", source, "--name", "sql", "--json").stdout)
    assert (pushed["data"], pushed["warnings"]) == ("tickets@2", [])


def test_an_unknown_digest_is_warned_of_and_ends_the_walk(digest: str, project: Path) -> None:
    unknown = patchbay(
        "adapters", "push", adapter(project, {"data_hash": f"sha256:{'0' * 64}"}), "--name", "sql"
    ).stdout
    assert "data_hash 000000000000… names no data set of this registry." in unknown
    other = adapter(project, {"data_hash": "dvc-1a2b3c"}, fill=2)
    assert "Warning" not in patchbay("adapters", "push", other, "--name", "sql").stdout
    assert "names no data set of this registry" in patchbay("why", "sql@1").stdout
    assert "no digest of a data set" in patchbay("why", "sql@2").stdout


def test_a_setting_refuses_what_names_no_data_set(digest: str, project: Path) -> None:
    (project / "patchbay.yaml").write_text("base: x\nregistry:\n  data: {require_known: true}\n")
    for number, manifest in enumerate(({"data_hash": f"sha256:{'0' * 64}"}, {"owner": "me"})):
        refused = patchbay("adapters", "push", adapter(project, manifest, number), "--name", "sql", code=3)
        assert "patchbay data list" in refused.stderr
    known = adapter(project, {"data_hash": digest}, fill=3)
    assert "Trained on tickets@2" in patchbay("adapters", "push", known, "--name", "sql").stdout


def test_why_walks_to_the_rows_and_hides_what_guards_find(digest: str, project: Path, data: DataSets) -> None:
    patchbay("adapters", "push", adapter(project, {"data_hash": digest}), "--name", "sql")
    found = json.loads(patchbay("why", "sql@1", "--rows", "2", "--json").stdout)
    assert [(step["kind"], step["name"], step["made_from"]) for step in found["steps"]] == [
        ("revision", "sql@1", ["tickets@2"]),
        ("data", "tickets@2", ["tickets@1"]),
        ("data", "tickets@1", []),
    ]
    assert found["steps"][2]["facts"]["source"] == "a.jsonl"
    assert [text.endswith("[EMAIL]\nbilling") for text in found["rows"]] == [True, True]
    shown = patchbay("why", "sql").stdout
    assert "tickets@2" in shown
    assert "@example.org" not in shown
    revision = data.registry.resolve("sql@1")
    run = LineageStep(kind="run", name="run-7", facts={"recipe": "sql.yaml"})
    steps = walk_back(data.registry, revision, [lambda found: [run] if found.name == "sql@1" else []])
    assert [step.kind for step in steps] == ["revision", "run", "data", "data"]
    assert "There is no adapter" in patchbay("why", "nothing", code=4).stderr


def test_a_sample_is_the_same_for_the_same_seed_and_even(digest: str, data: DataSets) -> None:
    record = data.registry.datasets.resolve("tickets@1")
    draws = [[row.asked for _, row in sampled(data, record, 5, seed)] for seed in (1, 1, *range(2, 60))]
    assert draws[0] == draws[1]
    seen = [sum(row.asked in draw for draw in draws) for _, row in data.rows(record)]
    # Each of 30 rows is in a sixth of 60 draws; a binomial is outside of these once in ten thousand.
    assert all(1 <= count <= 24 for count in seen)


def test_the_walk_ends_where_parents_go_in_a_circle(run: Run, data: DataSets, digest: str) -> None:
    from patchbay.tuning.data.lineage import walk_data
    from patchbay.tuning.data.rows import row_of
    from patchbay.tuning.data.store import Origin

    with data.writing() as writer:
        writer.add(row_of({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}))
        record, _ = data.keep(writer, "odd", Origin(parents=("odd@1", "gone@9")), actor="me")
    steps = list(walk_data(data.registry, record))
    assert [(step.name, step.warning) for step in steps] == [
        ("odd@1", None),
        ("gone@9", "the registry does not have it"),
    ]
