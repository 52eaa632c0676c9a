"""Labels of several people are kept, agreed on and made into data sets; alpha is what is published."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError, DataError
from patchbay.tuning.data.agreement import krippendorff_alpha, meaning
from patchbay.tuning.data.labelling import LabelTask, meant_label, open_queue, parse_labels
from tests.unit.tuning_data.conftest import Run, pair, write_lines

Said = Callable[..., Any]


def by_observer(*rows: str) -> list[list[str]]:
    """Turns published tables, a line for each observer and `*` for no label, into the labels of each unit."""
    return [[label for label in unit if label != "*"] for unit in zip(*(row.split() for row in rows), strict=True)]


@pytest.mark.parametrize(
    ("units", "alpha"),
    [
        # Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: A, two observers and binary data ...
        (by_observer("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"), 0.095),
        # ... B, nominal data of two observers ...
        (by_observer("a a b b d c c c e d d a", "b a b b b c c c e d d d"), 0.692),
        # ... and C, four observers with labels missing.
        (
            by_observer(
                "1 2 3 3 2 1 4 1 2 * * *",
                "1 2 3 3 2 2 4 1 2 5 * 3",
                "* 3 3 3 2 3 4 2 2 5 1 *",
                "1 2 3 3 2 4 4 1 2 5 1 *",
            ),
            0.743,
        ),
    ],
)
def test_alpha_is_what_krippendorff_published(units: Sequence[Sequence[str]], alpha: float) -> None:
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=0.0005)


def test_alpha_of_full_agreement_is_one_and_of_too_little_is_none() -> None:
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    assert krippendorff_alpha([["a"], []]) is None
    assert krippendorff_alpha([["a", "b"], ["b", "a"]]) == pytest.approx(-0.5)
    assert [meaning(value) for value in (None, 0.9, 0.7, 0.5)] == [
        "too few labels to tell",
        "reliable",
        "fit for tentative conclusions",
        "too low: make the guidelines clearer",
    ]


@pytest.fixture
def tickets(run: Run, project: Path) -> Path:
    rows = [pair(f"Ticket number {n}", "unknown", id=str(n)) for n in range(6)]
    run("import", str(write_lines(project / "a.jsonl", rows)), "--name", "tickets")
    (project / "rules.md").write_text("Money is billing.")
    return project / "tickets-1.labels.jsonl"


BEGIN = ("label", "tickets", "--labels", "billing,delivery", "--rows", "4")


def test_people_label_leave_and_go_on_and_disagreements_are_decided(run: Run, said: Said, tickets: Path) -> None:
    shown = run(*BEGIN, "--guidelines", "rules.md", "--annotator", "ann", answers="1\nwhat\nbill\nq\n").stdout
    assert "Money is billing." in shown
    assert "'what' is none of the labels." in shown
    assert len(tickets.read_text().splitlines()) == 3
    run("label", "tickets", "--annotator", "ann", answers="2\ns\n")
    run("label", "tickets", "--annotator", "bo", answers="1\n2\n2\n1\n")
    state = said("label", "tickets")
    assert state["waiting"] == {"ann": 1, "bo": 0}
    assert (state["disagreements"], state["labels"]) == (1, {"billing": 4, "delivery": 3})
    run("label", "tickets", "--adjudicate", answers="delivery\n")
    made = said("label", "tickets", "--finish", "--name", "labelled")
    assert made["rows"] == 4
    assert made["notes"]["labels"] == "4 by ann, bo"
    assert said("label", "tickets")["alpha"] == pytest.approx(made["alpha"])
    rows = said("show", "labelled", "--rows", "9")["first"]
    assert sorted(one["messages"][-1]["content"] for one in rows) == ["billing"] * 2 + ["delivery"] * 2


def test_a_label_becomes_a_vote_or_a_tag(run: Run, said: Said, tickets: Path) -> None:
    run("label", "tickets", "--labels", "good,bad", "--rows", "2", "--annotator", "ann", answers="good\nbad\n")
    votes = said("label", "tickets", "--finish", "--into", "vote", "--name", "votes")
    assert votes["kind"] == "vote"
    tagged = said("label", "tickets", "--finish", "--into", "tag", "--name", "tagged")
    assert tagged["kind"] == "chat"
    tags = [one["tags"] for one in said("show", "tagged")["first"]]
    assert sorted(tags) == [["label:bad"], ["label:good"]]
    run("label", "tickets", "--finish", "--into", "word", code=2)


def test_a_label_that_was_cut_off_was_none_and_the_rest_stays(tickets: Path, project: Path) -> None:
    task = LabelTask(data="tickets@1", labels=("a", "b"), rows=("1", "2", "3"))
    queue = open_queue(project / "q.jsonl", task)
    queue.add("1", "ann", "a")
    with (project / "q.jsonl").open("a") as file:
        file.write('{"row": "2", "annot')
    again = open_queue(project / "q.jsonl", None)
    assert again.waiting("ann") == ["2", "3"]
    again.add("2", "ann", "b")
    assert open_queue(project / "q.jsonl", None).waiting("ann") == ["3"]


def test_two_queues_of_one_task_are_joined_by_appending(project: Path) -> None:
    task = LabelTask(data="tickets@1", labels=("a", "b"), rows=("1",))
    for name in ("ann", "bo"):
        open_queue(project / name, task).add("1", name, "a")
    joined = project / "both"
    joined.write_text((project / "ann").read_text() + (project / "bo").read_text())
    assert open_queue(joined, task).final() == {"1": "a"}


def test_what_is_no_queue_or_of_another_task_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="Begin one"):
        open_queue(project / "none", None)
    (project / "q").write_text("{}")
    with pytest.raises(DataError):
        open_queue(project / "q", None)
    (project / "q").write_text(json.dumps({"data": "x@1", "labels": ["a", "b"], "rows": []}) + "\n")
    with pytest.raises(ConfigError, match=r"a queue of x@1"):
        open_queue(project / "q", LabelTask(data="y@1", labels=("a", "b"), rows=()))
    with pytest.raises(ConfigError, match="at least two"):
        parse_labels("a, a")


@pytest.mark.parametrize(
    ("typed", "label"), [("1", "bill"), ("de", "delivery"), ("bill", "bill"), ("b", None), ("", None), ("9", None)]
)
def test_a_label_is_typed_by_number_or_beginning(typed: str, label: str | None) -> None:
    assert meant_label(typed, ("bill", "billing", "delivery")) == label
