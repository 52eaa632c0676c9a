"""The built-in rules on our own sets: how much of what is there they find, and how much they find that is not there.

They are by the same hands as the rules, so they say what would be lost by a change, and not how good the rules are.
"""

import re
from collections import Counter
from collections.abc import Sequence

import pytest

from loadtests.guards_measure.sets import GoldSpan, SetText, joined, read_sets
from patchbay.guards.rules.catalog import SETS
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.verdict import FoundSpan

RECALL = 0.95
FALSE = {"pii": 0.02, "secrets": 0.1}
LEAST = {"pii": 2000, "secrets": 1500, "pii_not": 300, "secrets_not": 100}
# Of a span that counts as found, the share that must be covered.
COVERED = 0.8


@pytest.fixture(scope="module", params=["pii", "secrets"])
def found_by(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RuleSet]:
    rules: Sequence[Rule] = SETS[request.param]
    scanner = load_scanner(rules, tmp_path_factory.mktemp("rules"))
    return request.param, RuleSet([GuardRule(rule, "g", "flag") for rule in rules], scanner)


def spans(rules: RuleSet, text: str) -> list[FoundSpan]:
    channel = Channel([RulesWatch(rules)], lambda span: "")
    return [*channel.feed(text).spans, *channel.finish().spans]


def texts(name: str) -> Sequence[SetText]:
    return read_sets(pattern=f"{name}.jsonl")


def is_found(rules: RuleSet, text: SetText, gold: GoldSpan) -> bool:
    places: set[int] = set()
    for span in spans(rules, text.text):
        places.update(range(max(gold.start, span.start), min(gold.end, span.end)))
    return len(places) >= COVERED * (gold.end - gold.start)


def test_most_of_each_kind_and_form_is_found(found_by: tuple[str, RuleSet]) -> None:
    name, rules = found_by
    total, hit, missed = Counter[str](), Counter[str](), list[str]()
    for text in texts(name):
        for gold in text.spans:
            ok = is_found(rules, text, gold)
            missed += [] if ok else [text.text]
            for group in (gold.kind, text.form, text.language):
                total[group] += 1
                hit[group] += ok
    shares = {group: f"{hit[group]} of {count}" for group, count in total.items()}
    print(name, shares)  # noqa: T201 - the figures are what the test is for
    assert {group: shares[group] for group, count in total.items() if hit[group] < RECALL * count} == {}, missed[:20]


def test_little_is_found_where_nothing_is(found_by: tuple[str, RuleSet]) -> None:
    name, rules = found_by
    given = texts(f"{name}_not")
    taken = [
        (text.of, text.text, [span.rule for span in found]) for text in given if (found := spans(rules, text.text))
    ]
    print(f"{name}: {len(taken)} of {len(given)} are taken for what they are not")  # noqa: T201
    assert len(taken) <= FALSE[name] * len(given), taken


@pytest.mark.parametrize("name", list(LEAST))
def test_there_are_enough_texts_each_once_with_spans_where_something_is(name: str) -> None:
    given = texts(name)
    assert len({text.text for text in given}) == len(given) >= LEAST[name]
    assert all(bool(text.spans) is not name.endswith("_not") for text in given)


def test_what_stands_for_a_secret_is_the_same_each_time_and_as_long_as_it_says() -> None:
    assert joined("ghp_{{b62:36}}") == joined("ghp_{{b62:36}}")
    assert re.fullmatch("ghp_[A-Za-z0-9]{36}!", joined("ghp_{{b62:36}}!"))
    assert joined("{{ nothing }}") == "{{ nothing }}"
