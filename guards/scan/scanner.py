"""The scanner protocol, and the expressions that rules are compiled to for it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from patchbay.guards.rules.language import forward, parsed, reversed_prefixes
from patchbay.guards.rules.rule import Rule


class Scanner(Protocol):
    """Finds the rules that match in a text, and the part of a text's end that may still become a match."""

    def hits(self, text: str) -> Collection[int]:
        """Returns the numbers of the rules that match somewhere in `text`, without regard to their validators."""

    def live(self, backwards: str) -> int:
        """Returns the length of the longest end of a text that some rule's match could begin with; 0 where there is
        none.

        `backwards`: the end of the text, reversed.
        """


@dataclass(frozen=True, slots=True)
class Expression:
    """A rule in the form that scanners take. `forward`: its language; `backward`: those of its reversed prefixes."""

    forward: str
    backward: tuple[str, ...]
    caseless: bool


def expressions_of(rules: Sequence[Rule]) -> list[Expression]:
    """Turns rules into expressions. Raises ConfigError for a rule that cannot be used."""
    expressions = []
    for rule in rules:
        parsed(rule.name, rule.pattern, caseless=rule.caseless)
        nodes = parsed(rule.name, rule.scanned or rule.pattern, caseless=rule.caseless)
        backward = [reversed_prefixes(nodes)]
        if rule.until is not None:
            backward.append(reversed_prefixes(parsed(rule.name, rule.until, caseless=rule.caseless)))
        expressions.append(Expression(forward(nodes), tuple(backward), rule.caseless))
    return expressions
