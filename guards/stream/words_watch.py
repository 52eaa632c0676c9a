"""Long lists of denied words on a growing text, by one Aho-Corasick automaton.

A word counts where it stands by itself: between what is no letter, digit or underscore. (Not so in scripts that do not
space their words.)

Source: Aho and Corasick, "Efficient string matching", 1975.
"""

from collections.abc import Iterable

import ahocorasick

from patchbay.core.errors import ConfigError
from patchbay.guards.folding import FoldedTail, fold
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import Action, FoundSpan

KIND = "DENIED"
_MOST_CHARS = 256
# Scripts that put no space between words: there a denied word counts wherever it stands.
_NO_SPACES_FROM = 0x2E80


class Words:
    """A list, compiled. Raises ConfigError where a word is empty or over 256 characters."""

    def __init__(self, guard: str, words: Iterable[str]) -> None:
        self.automaton = ahocorasick.Automaton()
        self.longest = 0
        for word in words:
            plain = fold(word.strip()).lower()
            if not plain or len(plain) > _MOST_CHARS:
                raise ConfigError(f"Guard '{guard}': a denied word is empty or over {_MOST_CHARS} characters.")
            self.automaton.add_word(plain, len(plain))
            self.longest = max(self.longest, len(plain))
        self.automaton.make_automaton()


class WordsWatch:
    """A `Watch`."""

    def __init__(self, words: Words, guard: str, action: Action, *, escaped: bool = False) -> None:
        self._words = words
        self._guard = guard
        self._action: Action = action
        self._tail = FoldedTail(escaped=escaped)
        self._from = 0

    def feed(self, text: str) -> WatchState:
        """As `Watch` says."""
        self._tail.add(text)
        return self._settle(self._live(), at_end=False)

    def finish(self) -> WatchState:
        """As `Watch` says."""
        self._tail.finish()
        return self._settle(len(self._tail.text), at_end=True)

    def _live(self) -> int:
        """Where the earliest place is from which on all that there is could begin a word."""
        text, trie = self._tail.text.lower(), self._words.automaton
        first = max(self._tail.context, len(text) - self._words.longest - 1)
        for place in range(first, len(text)):
            if _alone(text, place) and trie.match(text[place:]):
                return self._tail.floor(place)
        return len(text)

    def _settle(self, settled: int, *, at_end: bool) -> WatchState:
        tail, text, spans = self._tail, self._tail.text.lower(), list[FoundSpan]()
        found = [(end + 1 - size, end + 1) for end, size in self._words.automaton.iter(text)]
        # At one place the longest word counts, and no word that another one begins before.
        for start, end in sorted(found, key=lambda one: (one[0], -one[1])):
            known = end < len(text) or at_end
            if start < max(self._from, tail.context) or start >= settled or not known:
                continue
            if _alone(text, start) and _alone(text, end):
                self._from = end
                place, last = tail.start_of(start), tail.end_of(end)
                spans.append(FoundSpan(place, last, self._guard, "denied-word", KIND, self._action))
        seen = WatchState(spans, tail.start_of(settled))
        self._from = max(0, self._from - tail.drop(settled, 1))
        return seen


def _alone(text: str, place: int) -> bool:
    """Whether no word goes on across `place`."""
    if place in (0, len(text)):
        return True
    return not (_in_word(text[place - 1]) and _in_word(text[place]))


def _in_word(char: str) -> bool:
    return (char.isalnum() and ord(char) < _NO_SPACES_FROM) or char == "_"
