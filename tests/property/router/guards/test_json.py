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
from patchbay.guards.stream.json_writer import JsonWriter
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


SIZES = st.lists(st.integers(0, 300), max_size=8)


def written(text: str, spans: Sequence[tuple[int, int]], cuts: Sequence[int], *, is_json: bool) -> str:
    """What a writer makes of a text without `spans`, in pieces that end at `cuts`."""
    writer, out = JsonWriter(is_json=is_json), ""
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts), *(place for one in spans for place in one)})
    for start, end in pairwise(edges):
        if start in {first for first, _ in spans}:
            writer.mark("[X]")
        dropped = any(first <= start < last for first, last in spans)
        out += writer.drop(text[start:end]) if dropped else writer.keep(text[start:end])
    return out + writer.finish()


def spans_in(text: str, places: Sequence[int]) -> list[tuple[int, int]]:
    """Spans between places in a text, none of which overlap or touch."""
    edges = sorted({place % (len(text) + 1) for place in places})
    return list(zip(edges[::2], edges[1::2], strict=False))


@given(document=DOCUMENTS, plain=st.booleans(), indent=st.sampled_from([None, 2]), places=SIZES, cuts=SIZES)
@settings(deadline=None, max_examples=300)
def test_a_document_breaks_wherever_something_is_left_out(
    document: Any, plain: bool, indent: int | None, places: Sequence[int], cuts: Sequence[int]
) -> None:
    text = json.dumps(document, ensure_ascii=plain, indent=indent)
    spans = spans_in(text, places)
    out = written(text, spans, cuts, is_json=True)
    json.loads(out)
    assert out == written(text, spans, [], is_json=True)
    if isinstance(document, dict | list) and all(start >= 2 for start, _ in spans) and text[:2].strip() == text[:2]:
        inside = written(f"so: {text}", [(start + 4, end + 4) for start, end in spans], cuts, is_json=False)
        opens = text[0] == "{" or text[1] in '{["'
        assert not opens or inside == f"so: {out}"


@given(text=st.text('a1-."\\{}[]:, \nué'), places=SIZES, cuts=SIZES, is_json=st.booleans())
@settings(deadline=None, max_examples=300)
def test_how_a_text_is_cut_changes_what_is_written_or_what_stays_is_lost(
    text: str, places: Sequence[int], cuts: Sequence[int], is_json: bool
) -> None:
    spans = spans_in(text, places)
    assert written(text, spans, cuts, is_json=is_json) == written(text, spans, [], is_json=is_json)
    assert written(text, [], cuts, is_json=is_json) == text


def test_what_is_held_of_a_number_is_bounded() -> None:
    writer = JsonWriter(is_json=True)
    assert writer.keep("[" + "1" * 200) == "[" + "1" * 200
    writer.mark("[X]")
    assert writer.drop("2" * 10) + writer.keep("3, 4]") == "[X]3, 4]"
