"""Watches as they are made without a word more: plain text, and what an escape at the very end of JSON is."""

import pytest

from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import expressions_of
from patchbay.guards.stream.automaton_cache import AutomatonCache
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.stream.words_watch import Words, WordsWatch

ESCAPED = "\\u004bEY12 "


def rule_set(*rules: Rule) -> RuleSet:
    return RuleSet([GuardRule(rule, "g", "flag") for rule in rules], Re2Scanner(expressions_of(rules)))


KEY = Rule(name="key", kind="KEY", pattern=r"\bKEY[0-9]{2}")


def test_text_is_plain_unless_it_is_said_to_be_inside_json() -> None:
    assert not RulesWatch(rule_set(KEY)).feed(ESCAPED).spans
    assert RulesWatch(rule_set(KEY), escaped=True).feed(ESCAPED).spans
    assert not WordsWatch(Words("g", ["key12"]), "g", "flag").feed(ESCAPED).spans
    assert WordsWatch(Words("g", ["key12"]), "g", "flag", escaped=True).feed(ESCAPED).spans


def test_an_escape_that_never_becomes_whole_is_text_in_the_end() -> None:
    backslash = Rule(name="slash", kind="SLASH", pattern=r"a\\")
    watch = RulesWatch(rule_set(backslash), escaped=True)
    assert not watch.feed("a\\").spans
    [found] = watch.finish().spans
    assert (found.start, found.end) == (0, 2)
    words = WordsWatch(Words("g", ["a"]), "g", "flag", escaped=True)
    assert not words.feed("b\\").spans
    assert words.finish().live == 2


@pytest.mark.parametrize(("given", "hits"), [(False, [(0, 5)]), (True, [(0, 5)])])
def test_a_rule_of_ours_and_one_of_somebody_else_find_alike(given: bool, hits: list[tuple[int, int]]) -> None:
    watch = RulesWatch(rule_set(Rule(name="k", kind="K", pattern=r"KEY[0-9]{2}", given=given)))
    assert [(one.start, one.end) for one in watch.feed("KEY12 ").spans] == hits


def test_an_end_is_looked_for_in_the_case_that_its_rule_says() -> None:
    for caseless, closed in ((True, [("b", 9)]), (False, [])):
        rule = Rule(name="b", kind="B", pattern="--begin", until="e--", caseless=caseless)
        watch = RulesWatch(rule_set(rule))
        first = watch.feed("--begin ")
        assert [one.rule for one in first.spans] == ["b"]
        later = [*watch.feed("E-- ").closed, *watch.finish().closed]
        assert [name for name, _ in later] == [name for name, _ in closed]


def test_a_rule_goes_on_after_its_last_match_and_not_within_it() -> None:
    pair = Rule(name="pair", kind="PAIR", pattern="aa")
    watch = RulesWatch(rule_set(pair))
    found = [(one.start, one.end) for piece in ("a", "aa", "aaa", " ") for one in watch.feed(piece).spans]
    assert found == [(0, 2), (2, 4), (4, 6)]


def test_one_place_is_told_once_for_each_guard_and_kind() -> None:
    rules = [
        GuardRule(Rule(name="one", kind="A", pattern="xy"), "g", "flag"),
        GuardRule(Rule(name="two", kind="A", pattern="xy"), "g", "flag"),
        GuardRule(Rule(name="three", kind="B", pattern="xy"), "g", "flag"),
        GuardRule(Rule(name="four", kind="A", pattern="xy"), "h", "flag"),
        GuardRule(Rule(name="five", kind="A", pattern="xyz"), "g", "flag"),
    ]
    made = RuleSet(rules, Re2Scanner(expressions_of([one.rule for one in rules])))
    found = {(one.rule, one.guard, one.end) for one in RulesWatch(made).feed("xyz ").spans}
    assert found == {("two", "g", 2), ("three", "g", 2), ("four", "h", 2), ("five", "g", 3)}


def test_a_cache_fills_up_to_its_last_byte() -> None:
    cache = AutomatonCache(max_bytes=400 * 3)
    kept = [cache.automaton(text) for text in ("a", "b", "c")]
    assert [cache.automaton(text) for text in ("a", "b", "c")] == kept
    cache.automaton("d")
    assert len(cache) == 3
