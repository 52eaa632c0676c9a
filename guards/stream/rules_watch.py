"""Rules watch: it finds the matches of rules in a growing text.

For each piece of text, the text's end is scanned backwards for prefixes of all rules. The longest one may still become
a match, and all before it is settled. Rules that match somewhere are then searched for by their own pattern, each from
where its last match ended.

Invariant: no settled part of the text is inside a match that was not reported yet. So a search from there finds what a
search from the text's beginning would have found, however the text was cut.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import ahocorasick
import re2

from patchbay.guards.escapes import Escapes
from patchbay.guards.folding import FoldedTail, fold
from patchbay.guards.rules.allowed import AllowedValues
from patchbay.guards.rules.context import REACH
from patchbay.guards.rules.language import VALUE
from patchbay.guards.rules.rule import LOOK_BACK, Rule
from patchbay.guards.scan.re2_scanner import in_linear_time
from patchbay.guards.scan.scanner import Scanner
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import OPEN, Action, FoundSpan

# Characters before what is not settled that scanners see, for the `\b` of a match that begins there.
_SCANNED_BEFORE = 1


@dataclass(frozen=True, slots=True)
class GuardRule:
    """A rule with the guard that looks for it, the action of that guard, and what it leaves alone."""

    rule: Rule
    guard: str
    action: Action
    allowed: AllowedValues | None = None


class RuleSet:
    """The rules of a pipeline's side, compiled. Immutable.

    `scanner`: made from the same rules, in the same order; `patterns`: the pattern of each rule; `values`: the number
    of the group that is its span, 0 for all of a match; `ends`: the pattern that ends a rule with `until`, by the
    rule's number; `numbers`: the rules' numbers by name; `near`: those that count only near a word.
    """

    def __init__(self, rules: Sequence[GuardRule], scanner: Scanner) -> None:
        self.scanner = scanner
        self.rules = tuple(rules)
        self.patterns = [_matcher(guard_rule.rule) for guard_rule in rules]
        self.values = [pattern.groupindex.get(VALUE, 0) for pattern in self.patterns]
        self.ends = {
            number: _ending(guard_rule.rule).compiled
            for number, guard_rule in enumerate(rules)
            if guard_rule.rule.until is not None
        }
        self.near = frozenset(number for number, guard_rule in enumerate(rules) if guard_rule.rule.near is not None)
        self._always = frozenset(range(len(rules))) - self.near
        self._cores = _cores(rules)
        self.numbers: Mapping[str, int] = {guard_rule.rule.name: number for number, guard_rule in enumerate(rules)}

    def may_match(self, text: str) -> bool:
        """Says whether any rule may match in a folded text, without regard to validators."""
        hits = self.scanner.hits(text)
        return bool(self.named(hits, text))

    def named(self, hits: Collection[int], text: str) -> Mapping[int, Sequence[int]]:
        """Returns the rules that scanners have found and that may count. Of those that need a word in the text: the
        ends of what may be one, in order."""
        if self.near.isdisjoint(hits):
            return dict.fromkeys(hits, ())
        places: dict[int, list[int]] = {}
        small = text.lower()
        for last, (length, apart, within) in self._cores.iter(small):
            start = last - length
            is_apart = apart and (start < 0 or not "a" <= small[start] <= "z")
            for number in (*within, *apart) if is_apart else within:
                if number in hits:
                    places.setdefault(number, []).append(last + 1)
        return {**dict.fromkeys(self._always.intersection(hits), ()), **places}


def _cores(rules: Sequence[GuardRule]) -> "ahocorasick.Automaton":
    """Returns the automaton that finds rules by their words: those that count where one begins a word, and others."""
    numbers: dict[str, tuple[list[int], list[int]]] = {}
    for number, guard_rule in enumerate(rules):
        near = guard_rule.rule.near
        for core in near.cores if near is not None else ():
            numbers.setdefault(core, ([], []))[0 if near is not None and near.apart else 1].append(number)
    automaton = ahocorasick.Automaton()
    for core, (apart, within) in numbers.items():
        automaton.add_word(core, (len(core), tuple(apart), tuple(within)))
    automaton.make_automaton()
    return automaton


def _matcher(rule: Rule) -> "re.Pattern[str] | re2._Regexp[str]":
    """Returns the pattern that finds a rule's matches. Raises ConfigError."""
    return in_linear_time(rule) if rule.given else rule.compiled


def _ending(rule: Rule) -> Rule:
    return Rule(name=rule.name, kind=rule.kind, pattern=rule.until or "", caseless=rule.caseless)


class RulesWatch:
    """A `TextWatch` that finds the matches of rules.

    `escaped`: whether the text is inside JSON; `escapes`: reads escapes of other formats, where set, and only matches
    with one in them are reported; `lead`: what stands before the text, such as the key of a value, which may name what
    is in it.
    """

    def __init__(
        self, rules: RuleSet, *, escaped: bool = False, escapes: Escapes | None = None, lead: str = ""
    ) -> None:
        self._rules = rules
        self._tail = FoldedTail(escaped=escaped, escapes=escapes, lead=fold(lead)[-LOOK_BACK:])
        self._only_escapes = escapes is not None
        # By a rule's number: where to search from, and the rules that have begun and not ended.
        self._search_from: dict[int, int] = {}
        self._open: set[int] = set()

    @property
    def has_escapes(self) -> bool:
        """Whether an escape of another format is in what is not settled, or may be about to come."""
        return self._tail.has_read_escapes

    def fork(self, escapes: Escapes) -> "RulesWatch":
        """Returns a watch that has seen the same text, and reads escapes in what comes."""
        fork = RulesWatch(self._rules, escapes=escapes)
        fork._tail = self._tail.fork(escapes)
        fork._search_from, fork._open = dict(self._search_from), set(self._open)
        return fork

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        tail = self._tail
        tail.add(text)
        scanned = self._scanned()
        live = self._rules.scanner.live(scanned[::-1])
        settled = tail.floor(max(tail.context, len(tail.text) - live))
        if settled <= tail.context:
            # All of it may still become a match, so nothing is to be told yet.
            return WatchState((), tail.start_of(settled))
        return self._settle(settled, scanned)

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        self._tail.finish()
        return self._settle(len(self._tail.text), self._scanned())

    def _scanned(self) -> str:
        """Returns the text that scanners look at: what is not settled, and the character before it."""
        first = self._tail.context - _SCANNED_BEFORE
        return self._tail.text[first:] if first > 0 else self._tail.text

    def _settle(self, settled: int, scanned: str) -> WatchState:
        """Reports the spans before `settled`, a position in the tail, and forgets the text before it. `scanned`: what
        scanners look at of the tail."""
        tail, spans, closed = self._tail, list[FoundSpan](), list[tuple[str, int]]()
        hits = self._rules.scanner.hits(scanned)
        named: Mapping[int, Sequence[int]] = self._rules.named(hits, tail.text) if hits else {}
        # Mostly there are no hits; this runs for every chunk, so the usual case does as little as possible.
        for number in sorted(self._open.union(named)) if named or self._open else ():
            if number in self._open:
                end = self._end(number, max(tail.context, self._search_from.get(number, 0)), settled)
                if end is None:
                    continue
                self._open.discard(number)
                closed.append((self._rules.rules[number].rule.name, tail.end_of(end)))
            spans += self._found(number, settled, named.get(number, ()))
        state = WatchState(_once_each(spans) if len(spans) > 1 else spans, tail.start_of(settled), closed)
        gone = tail.drop(settled, LOOK_BACK)
        if self._search_from:
            self._search_from = {
                number: place - gone for number, place in self._search_from.items() if place - gone > tail.context
            }
        return state

    def _found(self, number: int, settled: int, words: Sequence[int]) -> list[FoundSpan]:
        """Returns a rule's matches that begin before `settled`: the first valid one, then the first after its end, and
        so on. `words`: where what may be its words end, where it needs one."""
        guard_rule, pattern, text = self._rules.rules[number], self._rules.patterns[number], self._tail.text
        spans, rule, allowed = list[FoundSpan](), guard_rule.rule, guard_rule.allowed
        # One pass for all matches: RE2's own `search` encodes the whole text again for each.
        matches = pattern.finditer(text, max(self._tail.context, self._search_from.get(number, 0)))
        while (match := next(matches, None)) is not None and match.start() < settled:
            if (words and not _is_near(words, match)) or not rule.counts(match):
                matches = pattern.finditer(text, match.start() + 1)
                continue
            end: int | None = match.end()
            self._search_from[number] = match.end()
            if self._only_escapes and not self._has_escapes_in(match):
                continue
            if number in self._rules.ends:
                end = self._end(number, match.end(), settled)
            group = self._rules.values[number]
            if allowed is not None and end is not None and allowed.has(match[group] or match[0]):
                continue
            # A group that took no part in the match, or is empty, stands for all of it.
            start, last = match.span(group) if group and match[group] else (match.start(), end)
            spans.append(self._span(guard_rule, start, last))
            if end is None:
                self._open.add(number)
                break
            if end != match.end():
                matches = pattern.finditer(text, end)
        return spans

    def _end(self, number: int, place: int, settled: int) -> int | None:
        """Searches from `place` for the end of a rule that has begun. Returns the position after it; None where it has
        not come, or is not settled."""
        pattern = self._rules.ends[number]
        match = pattern.search(self._tail.text, place)
        if match is None or match.start() >= settled:
            return None
        group = pattern.groupindex.get(VALUE, 0)
        end = match.end(group) if match[group] else match.start()
        self._search_from[number] = end
        return end

    def _has_escapes_in(self, match: "re.Match[str] | re2._Match[str]") -> bool:
        """Whether an escape of another format is in a match of a rule that ends where its match does."""
        return self._tail.has_read_in(self._tail.start_of(match.start()), self._tail.end_of(match.end()))

    def _span(self, guard_rule: GuardRule, start: int, end: int | None) -> FoundSpan:
        first = self._tail.start_of(start)
        last = OPEN if end is None else self._tail.end_of(end)
        rule = guard_rule.rule
        return FoundSpan(
            start=first, end=last, guard=guard_rule.guard, rule=rule.name, kind=rule.kind, action=guard_rule.action
        )


def _is_near(words: Sequence[int], match: "re.Match[str] | re2._Match[str]") -> bool:
    """Whether one of some places is where a word may name a match: to ask the rule's pattern takes long."""
    at = bisect_left(words, match.start() - LOOK_BACK)
    return at < len(words) and words[at] <= match.end() + REACH


def _once_each(spans: Iterable[FoundSpan]) -> list[FoundSpan]:
    """Drops spans that several rules of a guard found in the same place as the same kind."""
    return list({(span.start, span.end, span.guard, span.kind): span for span in spans}.values())
