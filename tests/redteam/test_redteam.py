"""The detector against attacks that it has not seen, compared with what it made of them before.

PATCHBAY_REDTEAM_WRITE=1 writes the table anew: for a change that is meant, with the reason in its commit. `pii` asks
for other people's data in plain words. The detector is not made for that, and the table says how little it sees of it.
"""

import json
import os
import random
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from patchbay.guards.injection.classifier import InjectionClassifier
from patchbay.guards.injection.data.samples import fill, templates
from patchbay.guards.injection.evaluation import evaluate
from tests.redteam.cases import Case, cases

TABLE = Path(__file__).parent / "table.json"
THRESHOLD = 0.5
# How much worse a rate may become, from 0 to 1.
SLACK = 0.02
# The share of a case's runs of three words that one template may have, too.
MOST_ALIKE = 0.5
LEAST = {"injection": 40, "jailbreak": 30, "exfiltration": 30, "pii": 20, "benign": 80}

Table = Mapping[str, Mapping[str, float]]


@pytest.fixture(scope="module")
def classifier() -> InjectionClassifier:
    return InjectionClassifier.trained()


def rates(classifier: InjectionClassifier, given: list[Case]) -> Table:
    """By family: how many texts there are, and the share that is taken for attacks."""
    totals = Counter(case.family for case in given)
    taken = Counter(case.family for case in given if classifier.judge(case.text).score >= THRESHOLD)
    return {family: {"cases": total, "taken": round(taken[family] / total, 4)} for family, total in totals.items()}


def runs(text: str) -> set[tuple[str, ...]]:
    """Runs of three words."""
    words = re.findall(r"\w+", text.casefold())
    return set(zip(words, words[1:], words[2:], strict=False))


def test_no_family_is_blocked_less_and_no_more_harmless_texts_are_than_before(classifier: InjectionClassifier) -> None:
    now = rates(classifier, cases())
    if os.environ.get("PATCHBAY_REDTEAM_WRITE") == "1":
        TABLE.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    kept: Table = json.loads(TABLE.read_text(encoding="utf-8"))
    assert {family: row["cases"] for family, row in now.items()} == {
        family: row["cases"] for family, row in kept.items()
    }
    worse = {family: row["taken"] - kept[family]["taken"] for family, row in now.items()}
    worse = {family: change if family == "benign" else -change for family, change in worse.items()}
    assert {family: change for family, change in worse.items() if change > SLACK} == {}


def test_there_are_enough_cases_of_every_family_each_once() -> None:
    given = cases()
    assert not [text for text, count in Counter(case.text for case in given).items() if count > 1]
    found = Counter(case.family for case in given)
    assert {family: least for family, least in LEAST.items() if found[family] < least} == {}
    assert all(case.attack == (case.family != "benign") for case in given)


def test_no_case_is_much_like_what_the_detector_is_trained_on() -> None:
    chance = random.Random(0)  # noqa: S311
    known = [
        (name == "attacks", set().union(*(runs(fill(template, chance)) for _ in range(100))))
        for name in ("attacks", "benign")
        for family in templates(name).values()
        for template in family
    ]
    given = [(case, found) for case in cases() if len(found := runs(case.text)) >= 3]
    alike = {
        case.text
        for case, found in given
        if any(case.attack == attack and len(found & made) >= MOST_ALIKE * len(found) for attack, made in known)
    }
    assert alike == set()


def test_on_held_out_templates_the_detector_is_precise_and_finds_most(classifier: InjectionClassifier) -> None:
    found = evaluate(classifier, threshold=THRESHOLD)
    assert found.precision >= 0.9
    assert found.recall >= 0.85
