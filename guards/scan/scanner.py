"""The scanner protocol, and the expressions that rules are compiled to for it."""

import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from patchbay.guards.rules.language import forward, parsed, reversed_prefixes
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tree import Node, beginnings, characters, widths

# Characters that tokens, addresses and words begin with, and others that they have. What our rules find is mostly a run
# of these. A run at a text's end is held as what may become a match: that is told at a glance, and scanners need not
# know the beginnings of those rules. Of what is shorter than `_LONG` only what it needs is held.
_FIRST: Final = f"{string.ascii_letters}{string.digits}_/"
_OTHERS: Final = "%*+-.:<=@|~"
_RUN: Final = _FIRST + _OTHERS
_FIRST_CODES: Final = frozenset(map(ord, _FIRST))
_LONG: Final = 12
_RUN_CODES: Final = frozenset(map(ord, _RUN))


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
    """A rule in the form that scanners take. `forward`: its language; `backward`: those of its reversed prefixes, but
    for what is a run of characters of tokens: of that, `run` is the longest."""

    forward: str
    backward: tuple[str, ...]
    caseless: bool
    run: int = 0


def expressions_of(rules: Sequence[Rule]) -> list[Expression]:
    """Turns rules into expressions. Raises ConfigError for a rule that cannot be used."""
    return [_expression(rule) for rule in rules]


def longest_run(expressions: Sequence[Expression]) -> int:
    """Returns the length of the longest run that may become a match of one of `expressions`."""
    return max((expression.run for expression in expressions), default=0)


def run_at(backwards: str, most: int) -> int:
    """Returns the length of the run of characters of tokens that a reversed text begins with, `most` at most."""
    end = backwards[:most]
    return len(end[: len(end) - len(end.lstrip(_RUN))].rstrip(_OTHERS))


def _expression(rule: Rule) -> Expression:
    parsed(rule.name, rule.pattern, caseless=rule.caseless)
    nodes = parsed(rule.name, rule.scanned or rule.pattern, caseless=rule.caseless)
    begins = [nodes]
    if rule.until is not None:
        begins.append(parsed(rule.name, rule.until, caseless=rule.caseless))
    # Rules of the configuration hold what they need, and nothing more.
    runs = [one for one in begins if not rule.given and _is_run(one)]
    backward = tuple(reversed_prefixes(one) for one in begins if one not in runs)
    return Expression(forward(nodes), backward, rule.caseless, max((widths(one)[1] for one in runs), default=0))


def _is_run(nodes: Sequence[Node]) -> bool:
    """Whether all that a sequence of nodes matches is a run of characters of tokens, and may be long."""
    found, first = characters(nodes), beginnings(nodes)
    if widths(nodes)[1] < _LONG or found is None or first is None:
        return False
    return found <= _RUN_CODES and first <= _FIRST_CODES
