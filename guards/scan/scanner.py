"""What a set of rules is compiled to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from patchbay.guards.rules.language import forward, parsed, reversed_prefixes
from patchbay.guards.rules.rule import Rule


class Scanner(Protocol):
    """Says which rules are in a text, and how much of a text's end may still become one."""

    def hits(self, text: str) -> Collection[int]:
        """The numbers of the rules that match somewhere in `text`, validators aside."""

    def live(self, backwards: str) -> int:
        """How many characters at the beginning of `backwards`, a text's end reversed, some rule's match could begin
        with; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A rule as scanners take it: `forward`, its language; `backward`, that of its reversed prefixes."""

    forward: str
    backward: tuple[str, ...]
    caseless: bool


def expressions_of(rules: Sequence[Rule]) -> list[Expression]:
    """The rules in a scanner's words. Raises ConfigError for one that cannot be used."""
    made = []
    for rule in rules:
        nodes = parsed(rule.name, rule.pattern)
        backward = [reversed_prefixes(nodes)]
        if rule.until is not None:
            backward.append(reversed_prefixes(parsed(rule.name, rule.until)))
        made.append(Expression(forward(nodes), tuple(backward), rule.caseless))
    return made
