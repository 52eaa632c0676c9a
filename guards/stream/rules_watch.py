"""Rules on a growing text.

For each read the reversed end of the text is scanned for the prefixes of all rules: the longest one is what may still
become a match, and all before it is settled. Rules that match somewhere are then looked for by their own `re`, from
where the last match of each ended.

Invariant: no settled part of the text is inside a match that is not told yet. So looking from there finds what looking
from the text's beginning would have found, however it was cut.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import re2

from patchbay.guards.folding import FoldedTail
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.re2_scanner import in_linear_time
from patchbay.guards.scan.scanner import Scanner
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import OPEN, Action, FoundSpan

_CONTEXT = 1


@dataclass(frozen=True, slots=True)
class GuardRule:
    """A rule as one of a guard's."""

    rule: Rule
    guard: str
    action: Action


class RuleSet:
    """Rules with the scanner that was made from them. Immutable."""

    def __init__(self, owned: Sequence[GuardRule], scanner: Scanner) -> None:
        self.scanner = scanner
        self.owned = tuple(owned)
        self.patterns = [_matcher(each.rule) for each in owned]
        self.ends = {
            number: _ending(each.rule).compiled for number, each in enumerate(owned) if each.rule.until is not None
        }
        self.numbers: Mapping[str, int] = {each.rule.name: number for number, each in enumerate(owned)}


def _matcher(rule: Rule) -> "re.Pattern[str] | re2._Regexp[str]":
    """What finds a rule's matches. Raises ConfigError."""
    return in_linear_time(rule) if rule.given else rule.compiled


def _ending(rule: Rule) -> Rule:
    return Rule(rule.name, rule.kind, rule.until or "", rule.caseless)


class RulesWatch:
    """A `Watch`. `escaped`: whether the text is inside JSON."""

    def __init__(self, rules: RuleSet, *, escaped: bool = False) -> None:
        self._rules = rules
        self._tail = FoldedTail(escaped=escaped)
        self._from: dict[int, int] = {}
        self._open: set[int] = set()

    def feed(self, text: str) -> WatchState:
        """As `Watch` says."""
        tail = self._tail
        tail.add(text)
        live = self._rules.scanner.live(tail.text[::-1])
        settled = tail.floor(max(tail.context, len(tail.text) - live))
        return self._settle(settled)

    def finish(self) -> WatchState:
        """As `Watch` says."""
        self._tail.finish()
        return self._settle(len(self._tail.text))

    def _settle(self, settled: int) -> WatchState:
        tail, spans, closed = self._tail, list[FoundSpan](), list[tuple[str, int]]()
        hits = self._rules.scanner.hits(tail.text)
        # Mostly there are none, and each thing that is not done counts on every chunk.
        for number in sorted(self._open.union(hits)) if hits or self._open else ():
            if number in self._open:
                end = self._end(number, max(tail.context, self._from.get(number, 0)), settled)
                if end is None:
                    continue
                self._open.discard(number)
                closed.append((self._rules.owned[number].rule.name, tail.end_of(end)))
            spans += self._found(number, settled)
        seen = WatchState(_once_each(spans) if len(spans) > 1 else spans, tail.start_of(settled), closed)
        gone = tail.drop(settled, _CONTEXT)
        if self._from:
            self._from = {number: place - gone for number, place in self._from.items() if place - gone > tail.context}
        return seen

    def _found(self, number: int, settled: int) -> list[FoundSpan]:
        """Matches of a rule that begin before `settled`: at each place the first that is valid, the next one after its
        end."""
        owned, pattern, text = self._rules.owned[number], self._rules.patterns[number], self._tail.text
        place, spans = max(self._tail.context, self._from.get(number, 0)), list[FoundSpan]()
        valid = owned.rule.valid
        while (match := pattern.search(text, place)) is not None and match.start() < settled:
            if valid is not None and not valid(match[0]):
                place = match.start() + 1
                continue
            end: int | None = match.end()
            self._from[number] = match.end()
            if number in self._rules.ends:
                end = self._end(number, match.end(), settled)
            spans.append(self._span(owned, match.start(), end))
            if end is None:
                self._open.add(number)
                break
            place = end
        return spans

    def _end(self, number: int, place: int, settled: int) -> int | None:
        """Where the end of what a rule has begun is over, looked for from `place`, if that is settled."""
        match = self._rules.ends[number].search(self._tail.text, place)
        if match is None or match.start() >= settled:
            return None
        self._from[number] = match.end()
        return match.end()

    def _span(self, owned: GuardRule, start: int, end: int | None) -> FoundSpan:
        last = OPEN if end is None else self._tail.end_of(end)
        return FoundSpan(self._tail.start_of(start), last, owned.guard, owned.rule.name, owned.rule.kind, owned.action)


def _once_each(spans: Iterable[FoundSpan]) -> list[FoundSpan]:
    """What several rules call the same counts once."""
    return list({(span.start, span.end, span.guard, span.kind): span for span in spans}.values())
