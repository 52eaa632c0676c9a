"""JSON that guards have changed is still JSON: a tool's arguments are read by a program."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.guards.rules.pii import PII
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.quotes import Quotes
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch

CARD = 4111111111111111
LEAVES = st.one_of(
    st.sampled_from([CARD, 7, -3, 1.5, True, None, "jane@example.org", str(CARD), 'say "no"', "back\\slash", "é"]),
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", 'q"', "jane@example.org"]), inner)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    folder: Path = tmp_path_factory.mktemp("rules")
    return RuleSet([GuardRule(rule, "pii", "redact") for rule in PII], load_scanner(PII, folder))


def without(value: Any) -> Any:
    """The document as it is to come out."""
    if isinstance(value, dict):
        return {without(key): without(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without(each) for each in value]
    if value in (CARD, str(CARD)) and not isinstance(value, bool):
        return "[CARD]"
    return "[EMAIL]" if value == "jane@example.org" else value


@given(document=DOCUMENTS, plain=st.booleans(), places=st.lists(st.integers(0, 300), max_size=10))
@settings(deadline=None, max_examples=300)
def test_what_is_left_out_of_json_breaks_it(rules: RuleSet, document: Any, plain: bool, places: Sequence[int]) -> None:
    text = json.dumps(document, ensure_ascii=plain)
    made = Channel([RulesWatch(rules, escaped=True)], lambda span: f"[{span.kind}]", is_json=True)
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    out = "".join(made.feed(text[start:end]).text for start, end in pairwise(edges)) + made.finish().text
    assert json.loads(out) == without(document)


@given(text=st.text('a"\\'), places=st.lists(st.integers(0, 30), max_size=8))
def test_a_string_is_seen_elsewhere_when_the_text_is_cut(text: str, places: Sequence[int]) -> None:
    whole, pieces = Quotes(), Quotes()
    whole.feed(text)
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    for start, end in pairwise(edges):
        pieces.feed(text[start:end])
    assert pieces.inside == whole.inside
