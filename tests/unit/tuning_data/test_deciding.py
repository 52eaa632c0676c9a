"""The decision of prompt, retrieval or tuning is by the handbooks' rules, and says what is missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.tuning.data.deciding import TuningCase, card_markdown, decide
from tests.unit.tuning_data.conftest import Run

READY: dict[str, Any] = {
    "task": "Tickets to JSON.",
    "owner": "me",
    "stable_task": True,
    "stable_format": True,
    "labels": 200,
    "data": "tickets@3",
    "validation": 40,
    "baseline": {"score": 0.5, "target": 0.9, "cases": 40},
    "failures": {"broken JSON": {"count": 7}},
}


def case(**changes: Any) -> TuningCase:
    return parse_settings(TuningCase, {**READY, **changes}, source="case")


@pytest.mark.parametrize(
    ("changes", "way", "why"),
    [
        ({}, "tuning", "0.50 of the 0.90"),
        ({"private_facts": True, "facts_change": True}, "retrieval", "private facts that change"),
        ({"private_facts": True, "stable_format": False}, "retrieval", "cited and mended"),
        ({"private_facts": True}, "tuning", "Task and form are stable"),
        ({"stable_task": False}, "prompt", "still changes"),
        ({"labels": 49}, "prompt", "fewer than 50"),
        ({"labels": 50}, "tuning", "50 are the least"),
        ({"baseline": None}, "prompt", "No prompt has been measured"),
        ({"baseline": {"score": 0.9, "target": 0.9, "cases": 40}}, "prompt", "reaches its target"),
        ({"failures": {"odd wishes": {"count": 3, "gap": "expectation"}}}, "prompt", "None of the failures"),
    ],
)
def test_the_way_is_by_the_rules(changes: dict[str, Any], way: str, why: str) -> None:
    decision = decide(case(**changes))
    assert decision.way == way
    assert any(why in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, None),
        ({"baseline": None}, "a prompt baseline"),
        ({"baseline": {"score": 0.5, "target": 0.9, "cases": 5}}, "a baseline on at least 20 cases"),
        ({"validation": 19}, "a validation set of at least 20"),
        ({"failures": {}}, "a failure log"),
        ({"labels": 20}, "30 more labelled examples"),
        ({"data": None}, "a data set"),
        ({"owner": None}, "an owner"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], missing: str | None) -> None:
    decision = decide(case(**changes))
    assert [text for text in decision.missing if missing is None or not text.startswith(missing)] == []
    assert bool(decision.missing) == (missing is not None)


def test_what_else_to_do_is_said() -> None:
    gaps = {"a": {"count": 1}, "b": {"count": 1, "gap": "policy"}, "c": {"count": 1, "gap": "model"}}
    assert decide(case(failures=gaps, private_facts=True)).beside == (
        "b: write the rule down first.",
        "c: try a stronger base.",
        "Give the private facts by retrieval, and tune the form alone.",
    )
    long = decide(case(labels=5, prompt_tokens=4000)).beside
    assert long == ("Should the prompt of 4000 tokens cost too much, tune it in once the rest is there.",)


def test_the_card_has_the_decision_and_what_is_known() -> None:
    known = case(notes="As agreed on Monday.")
    card = card_markdown(known, decide(known))
    assert card.startswith("# Decision: tuning\n")
    assert "| prompt baseline | 0.50 of 0.90 needed, on 40 cases |" in card
    assert "- nothing" in card
    assert card.endswith("As agreed on Monday.\n")


def test_a_case_that_contradicts_itself_or_has_unknown_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="private_facts"):
        case(facts_change=True)
    with pytest.raises(ConfigError, match="labels"):
        case(lables=3)


def test_the_command_exits_by_the_decision_where_it_is_strict(run: Run, project: Path) -> None:
    (project / "case.yaml").write_text(json.dumps(READY))
    assert json.loads(run("decide", "case.yaml", "--strict", "--json").stdout)["may_train"]
    (project / "case.yaml").write_text(json.dumps({**READY, "labels": 3}))
    run("decide", "case.yaml", "--strict", code=1)
    run("decide", "case.yaml")
    run("decide", "none.yaml", code=2)
