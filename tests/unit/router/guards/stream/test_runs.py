"""Runs of characters of tokens: what is held at a text's end without a scanner's look."""

import random

import pytest

from patchbay.guards.rules.language import forward, parsed
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.tree import beginnings, characters
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import Scanner, expressions_of, longest_run, run_at

TOKEN = Rule(name="token", kind="TOKEN", pattern=r"\btok-[a-z]{4,16}\b")


def codes(text: str) -> frozenset[int]:
    return frozenset(map(ord, text))


@pytest.mark.parametrize(
    ("pattern", "all_", "first"),
    [
        (r"\bab?c", "abc", "a"),
        (r"a?(?:b|cd)", "abcd", "abc"),
        (r"(?:x{0,2}|y)[0-2]", "xy012", "xy012"),
        (r"(?:x{1,2}|y)[0-2]", "xy012", "xy"),
    ],
)
def test_the_characters_of_a_pattern_are_others(pattern: str, all_: str, first: str) -> None:
    nodes = parsed("rule", pattern)
    assert characters(nodes) == codes(all_)
    assert beginnings(nodes) == codes(first)


@pytest.mark.parametrize("pattern", ["a[^b]", "ab.", r"a\S", "a\u4e00[\u4e00-\u4e20]"])
def test_a_pattern_of_nearly_all_characters_has_a_few(pattern: str) -> None:
    assert characters(parsed("rule", pattern)) is None


def test_the_beginning_of_a_run_is_not_held() -> None:
    assert [run_at(text[::-1], 20) for text in ("a tok-en", "a --", "a --b", "a,", "")] == [6, 0, 1, 0, 0]
    assert run_at("b" * 30, 20) == 20


def test_a_rule_of_the_configuration_holds_more_than_it_needs() -> None:
    given = Rule(name="token", kind="TOKEN", pattern=TOKEN.pattern, given=True)
    assert longest_run(expressions_of([TOKEN])) == 20
    assert longest_run(expressions_of([given])) == 0


def scanners() -> list[Scanner]:
    return [load_scanner([TOKEN], None), Re2Scanner(expressions_of([TOKEN]))]


@pytest.mark.parametrize("scanner", scanners())
def test_what_may_become_a_token_is_let_go(scanner: Scanner) -> None:
    assert [scanner.live(text[::-1]) for text in ("a tok-e", "tok- ", "")] == [5, 0, 0]


def test_a_prefix_of_a_rule_is_longer_than_what_is_held() -> None:
    """Every beginning of every example of the catalog, by RE2 and without runs as the oracle."""
    chance = random.Random("runs")  # noqa: S311
    for rule in chance.sample([*PII, *SECRETS], 60):
        [expression] = expressions_of([rule])
        if not expression.run:
            continue
        exact = Re2Scanner(expressions_of([Rule(name=rule.name, kind="K", pattern=rule.pattern, given=True)]))
        held = Re2Scanner([expression])
        for example in rule.examples:
            for end in range(len(example) + 1):
                assert held.live(example[:end][::-1]) >= exact.live(example[:end][::-1]), (rule.name, example[:end])
        assert forward(parsed(rule.name, rule.scanned or rule.pattern, caseless=rule.caseless)) == expression.forward
