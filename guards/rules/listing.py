"""A list of the built-in rules, as people and programs read it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from patchbay.guards.rules.catalog import SETS
from patchbay.guards.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRule:
    """Describes one built-in rule.

    `set`: the set that it belongs to; `name`, `kind`, `country`: the rule's; `confidence`: of its findings, 0 to 1;
    `needs`: what a match needs beside its form, such as a check digit, or words that name it; `words`: texts of which
    one is in each of those words; `examples`: texts in which it is found.
    """

    set: str
    name: str
    kind: str
    country: str
    confidence: float
    needs: tuple[str, ...]
    words: tuple[str, ...]
    examples: tuple[str, ...]


def listed() -> Iterator[ListedRule]:
    """Yields all built-in rules, set by set."""
    for name, rules in SETS.items():
        for rule in rules:
            yield ListedRule(
                set=name,
                name=rule.name,
                kind=rule.kind,
                country=rule.country,
                confidence=rule.confidence,
                needs=tuple(_needs(rule)),
                words=tuple(sorted(rule.near.cores)) if rule.near is not None else (),
                examples=rule.examples,
            )


def _needs(rule: Rule) -> Iterator[str]:
    if rule.valid is not None:
        yield "check"
    if rule.near is not None:
        yield "words before it"
    if rule.unless is not None:
        yield "stands apart"
