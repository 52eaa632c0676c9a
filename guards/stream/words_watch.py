"""Words watch: it finds the words of a long list of denied ones in a growing text, by one Aho-Corasick automaton.

A word counts where it stands by itself, with no letter, digit or underscore beside it. In scripts that put no space
between words it counts anywhere.

Source: Aho and Corasick, "Efficient string matching", 1975.
"""

from collections.abc import Iterable
from itertools import product
from math import prod

import ahocorasick

from patchbay.core.errors import ConfigError
from patchbay.guards.escapes import Escapes
from patchbay.guards.folding import FoldedTail, fold
from patchbay.guards.rules.folded_pattern import case_forms
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import Action, FoundSpan

KIND = "DENIED"
_MOST_CHARS = 256
# Ways of writing one word that are all looked for.
_MOST_FORMS = 16
# Scripts that put no space between words: there a denied word counts wherever it stands.
_NO_SPACES_FROM = 0x2E80


class Words:
    """A compiled list of denied words. `guard`: its guard's name, for errors. Raises ConfigError where a word is empty
    or over 256 characters."""

    def __init__(self, guard: str, words: Iterable[str]) -> None:
        self.automaton = ahocorasick.Automaton()
        self.longest = 0
        for word in words:
            for plain in _forms(word.strip()):
                if not plain or len(plain) > _MOST_CHARS:
                    raise ConfigError(f"Guard '{guard}': a denied word is empty or over {_MOST_CHARS} characters.")
                self.automaton.add_word(plain, len(plain))
                self.longest = max(self.longest, len(plain))
        self.automaton.make_automaton()


def _forms(word: str) -> Iterable[str]:
    """Returns what a word is compared as, in small letters: once, or for each way of writing it where a capital looks
    like another letter than its small one does, as many of Cyrillic and Greek do."""
    letters = [list(dict.fromkeys(form.lower() for form in case_forms(char))) for char in word]
    if prod(map(len, letters)) <= _MOST_FORMS:
        return dict.fromkeys("".join(form) for form in product(*letters))
    # Of long words the usual ways: in small letters, in capitals, and with capitals at the beginnings.
    written = (word, word.lower(), word.upper(), word.capitalize(), word.title())
    return dict.fromkeys(fold(form).lower() for form in written)


class WordsWatch:
    """A `TextWatch` that finds denied words. `escaped`: whether the text is inside JSON."""

    def __init__(self, words: Words, guard: str, action: Action, *, escaped: bool = False) -> None:
        self._only_escapes = False
        self._words = words
        self._guard = guard
        self._action: Action = action
        self._tail = FoldedTail(escaped=escaped)
        self._search_from = 0

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        self._tail.add(text)
        return self._settle(self._live(), at_end=False)

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        self._tail.finish()
        return self._settle(len(self._tail.text), at_end=True)

    @property
    def has_escapes(self) -> bool:
        """Whether an escape of another format is in what is not settled, or may be about to come."""
        return self._tail.has_read_escapes

    def fork(self, escapes: Escapes) -> "WordsWatch":
        """Returns a watch that has seen the same text, reads escapes in what comes, and reports only words with one."""
        fork = WordsWatch(self._words, self._guard, self._action)
        fork._tail, fork._search_from, fork._only_escapes = self._tail.fork(escapes), self._search_from, True
        return fork

    def _live(self) -> int:
        """Returns the earliest position from which the rest of the text could be the beginning of a denied word."""
        text, trie = self._tail.text.lower(), self._words.automaton
        first = max(self._tail.context, len(text) - self._words.longest - 1)
        for place in range(first, len(text)):
            if _is_edge(text, place) and trie.match(text[place:]):
                return self._tail.floor(place)
        return len(text)

    def _settle(self, settled: int, *, at_end: bool) -> WatchState:
        """Reports the words that begin before `settled`. `at_end`: whether the text has ended."""
        tail, text, spans = self._tail, self._tail.text.lower(), list[FoundSpan]()
        matches = [(end + 1 - size, end + 1) for end, size in self._words.automaton.iter(text)]
        # Of words that begin at one place the longest counts, and of words that overlap the first.
        for start, end in sorted(matches, key=lambda match: (match[0], -match[1])):
            # At the end of what has come, the word may still go on.
            end_known = end < len(text) or at_end
            if start < max(self._search_from, tail.context) or start >= settled or not end_known:
                continue
            if _is_edge(text, start) and _is_edge(text, end):
                self._search_from = end
                place, last = tail.start_of(start), tail.end_of(end)
                if self._only_escapes and not tail.has_read_in(place, last):
                    continue
                spans.append(
                    FoundSpan(
                        start=place, end=last, guard=self._guard, rule="denied-word", kind=KIND, action=self._action
                    )
                )
        state = WatchState(spans, tail.start_of(settled))
        self._search_from = max(0, self._search_from - tail.drop(settled, 1))
        return state


def _is_edge(text: str, place: int) -> bool:
    """Whether `place` is a word's edge: no word goes on across it."""
    if place in (0, len(text)):
        return True
    return not (_in_word(text[place - 1]) and _in_word(text[place]))


def _in_word(char: str) -> bool:
    return (char.isalnum() and ord(char) < _NO_SPACES_FROM) or char == "_"
