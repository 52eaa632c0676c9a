"""What is let go of a stream: nothing that is in a match of the whole text, and the same however the text was cut."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import Scanner, expressions_of
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.leak_watch import LeakWatch, SuffixAutomaton, letters
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.stream.words_watch import Words, WordsWatch
from patchbay.guards.verdict import Action, FoundSpan

RULES = (
    Rule(name="key", kind="KEY", pattern=r"\bKEY[0-9A-F]{4,8}\b"),
    Rule(name="mail", kind="MAIL", pattern=r"[a-z0-9.]{1,8}@[a-z0-9]{1,5}(?:\.[a-z]{2,3}){1,2}\b", caseless=True),
    Rule(name="even", kind="EVEN", pattern=r"\b[0-9]{3,6}\b", valid=lambda text: int(text) % 2 == 0),
    Rule(name="pair", kind="PAIR", pattern=r"ab(?:c{1,3}d)?"),
    Rule(name="block", kind="PEM", pattern=r"-{2,3}BEGIN", until=r"END-{2,3}"),
)
PROMPT = "Never tell the secret recipe of seven herbs to anyone."
# Of what the rules are made, so that nearly every text has matches and near misses.
PIECES = st.sampled_from(
    [
        "KEY",
        "0AF3",
        "9",
        "@",
        ".",
        "a",
        "b",
        "cc",
        "d",
        "ab",
        "x1",
        ".com",
        " ",
        "--",
        "-",
        '"',
        "BEGIN",
        "END",
        "\n",
        "é",
        "\uff41",
        "\u200b",
        "12",
        "4",
        "foo",
        "bar",
        "foo bar",
        "Never tell the secret",
        " recipe of seven ",
        "\u041a",
        "\\u0041",
        "\\",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def scanners() -> list[Scanner]:
    return [load_scanner(RULES, None), Re2Scanner(expressions_of(RULES))]


SCANNERS = scanners()


def marker(span: FoundSpan) -> str:
    return f"<{span.kind}>"


def channel(scanner: Scanner, action: Action = "redact", *, escaped: bool = False) -> Channel:
    rules = RuleSet([GuardRule(rule, "rules", action) for rule in RULES], scanner)
    known = SuffixAutomaton(letters(PROMPT))
    words = WordsWatch(Words("words", ["foo", "foo bar", "bär"]), "words", action, escaped=escaped)
    return Channel(
        [RulesWatch(rules, escaped=escaped), words, LeakWatch(known, 20, "leak", action)], marker, is_json=escaped
    )


def cut(text: str, places: Sequence[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


def run(pieces: Sequence[str], made: Channel) -> tuple[str, list[FoundSpan]]:
    got = [*(made.feed(piece) for piece in pieces), made.finish()]
    return "".join(one.text for one in got), [span for one in got for span in one.spans]


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.parametrize("action", ["redact", "block", "flag"])
@pytest.mark.parametrize("escaped", [False, True])
@given(text=TEXTS, places=st.lists(st.integers(0, 400), max_size=30))
@settings(deadline=None, max_examples=300)
def test_the_result_depends_on_how_the_text_was_cut(
    scanner: Scanner, action: Action, escaped: bool, text: str, places: list[int]
) -> None:
    whole, spans = run([text] if text else [], channel(scanner, action, escaped=escaped))
    pieces, found = run(cut(text, places), channel(scanner, action, escaped=escaped))
    assert pieces == whole
    assert sorted(found, key=repr) == sorted(spans, key=repr)


@pytest.mark.parametrize("scanner", SCANNERS)
@given(text=TEXTS, places=st.lists(st.integers(0, 400), max_size=30))
@settings(deadline=None, max_examples=300)
def test_a_character_of_a_match_of_the_whole_text_is_let_go_or_one_of_none_is_not(
    scanner: Scanner, text: str, places: list[int]
) -> None:
    _, spans = run(cut(text, places), channel(scanner, "flag"))
    covered = {place for span in spans for place in range(span.start, min(span.end, len(text)))}
    by_hand: set[int] = set()
    for rule in RULES:
        by_hand |= matched(rule, text)
    if text.isascii():
        assert by_hand <= covered
    made = channel(scanner)
    out = ""
    for piece in cut(text, places):
        out += made.feed(piece).text
    out += made.finish().text
    # Each marker stands for a run of covered characters; all others are there, in their order.
    rest = "".join(char for place, char in enumerate(text) if place not in covered)
    for kind in ("KEY", "MAIL", "EVEN", "PAIR", "PEM", "DENIED", "SYSTEM_PROMPT"):
        out = out.replace(f"<{kind}>", "")
    assert out == rest


def matched(rule: Rule, text: str) -> set[int]:
    """The characters in matches of a rule, found by `re` alone: at each place the first valid match."""
    places: set[int] = set()
    at = 0
    while (match := rule.compiled.search(text, at)) is not None:
        if rule.valid is not None and not rule.valid(match[0]):
            at = match.start() + 1
            continue
        end = match.end()
        if rule.until is not None:
            closing = Rule(name="", kind="", pattern=rule.until).compiled.search(text, end)
            end = closing.end() if closing else len(text)
        places |= set(range(match.start(), end))
        at = end
    return places


@given(text=TEXTS, places=st.lists(st.integers(0, 400), max_size=30))
@settings(deadline=None, max_examples=200)
def test_hyperscan_and_re2_find_different_things(text: str, places: list[int]) -> None:
    first, second = (run(cut(text, places), channel(scanner)) for scanner in SCANNERS)
    assert first == second


@given(st.text(max_size=200), st.lists(st.integers(0, 200), max_size=20))
@settings(deadline=None)
def test_what_matches_nothing_is_let_go_byte_for_byte(text: str, places: list[int]) -> None:
    out, spans = run(cut(text, places), channel(SCANNERS[0], "flag"))
    assert out == text
    del spans


def test_what_is_held_grows_without_bound() -> None:
    made = channel(SCANNERS[0])
    most = 0
    for _ in range(20_000):
        made.feed("KEY0A@b.c--BEGI")
        most = max(most, made.held)
    assert most < 200


def test_after_a_block_something_is_let_go() -> None:
    made = channel(SCANNERS[0], "block")
    out = [made.feed(piece).text for piece in ("so KEY0", "AF3 ", "and more", " text")]
    assert "".join(out) + made.finish().text == "so "
    assert made.blocked
