"""Leak watch: it finds a known text, the request's system prompt, in a growing one.

A suffix automaton of the known text's letters and digits gives, at each character, the length of the longest run before
it that the known text has too. A run of `least` or more is a leak. What may become one is held, so the beginning of a
leak is never released.

Source: Blumer et al., "The smallest automaton recognizing the subwords of a text", 1985.
"""

from patchbay.guards.folding import folded_char
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import Action, FoundSpan

KIND = "SYSTEM_PROMPT"


class SuffixAutomaton:
    """Recognizes all substrings of a text, in memory linear in its length. Immutable once built.

    By state: `step`: the next state for each character; `link`: the suffix link, -1 for the root; `length`: the length
    of the longest substring.
    """

    __slots__ = ("length", "link", "step")

    def __init__(self, text: str) -> None:
        self.step: list[dict[str, int]] = [{}]
        self.link = [-1]
        self.length = [0]
        last = 0
        for char in text:
            last = self._extend(last, char)

    def _extend(self, last: int, char: str) -> int:
        """Adds `char` after state `last`, and returns the new state. The names are those of the paper's algorithm."""
        step, link, length = self.step, self.link, self.length
        new = self._add_state(length[last] + 1, {}, 0)
        place = last
        while place != -1 and char not in step[place]:
            step[place][char] = new
            place = link[place]
        if place == -1:
            return new
        other = step[place][char]
        if length[place] + 1 == length[other]:
            link[new] = other
            return new
        clone = self._add_state(length[place] + 1, dict(step[other]), link[other])
        while place != -1 and step[place].get(char) == other:
            step[place][char] = clone
            place = link[place]
        link[other] = link[new] = clone
        return new

    def _add_state(self, length: int, step: dict[str, int], link: int) -> int:
        self.step.append(step)
        self.length.append(length)
        self.link.append(link)
        return len(self.step) - 1


def letters(text: str) -> str:
    """Returns the letters and digits of a text, folded and in lower case: only these are compared."""
    return "".join(folded for char in text for folded in folded_char(char).lower() if folded.isalnum())


class LeakWatch:
    """A `TextWatch` that finds runs of a known text.

    `known`: the automaton of the text that must not leak; `least`: the letters and digits in a row that are a leak.
    """

    def __init__(self, known: SuffixAutomaton, least: int, guard: str, action: Action) -> None:
        self._known = known
        self._least = least
        self._guard = guard
        self._action: Action = action
        self._state = 0
        self._run = 0
        # The positions of the characters in the current run.
        self._places: list[int] = []
        self._count = 0
        self._leak: tuple[int, int] | None = None

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        spans: list[FoundSpan] = []
        for char in text:
            for folded in folded_char(char).lower():
                if folded.isalnum():
                    spans += self._next(folded)
            self._count += 1
        return WatchState(spans, self._live())

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        return WatchState(self._take_leak(), self._count)

    def _next(self, char: str) -> list[FoundSpan]:
        """Takes the next letter or digit, and returns the leaks that it ends."""
        known, state, run = self._known, self._state, self._run
        while state and char not in known.step[state]:
            state = known.link[state]
            run = known.length[state]
        if char in known.step[state]:
            state, run = known.step[state][char], run + 1
        self._state, self._run = state, run
        self._places.append(self._count)
        if len(self._places) > run:
            del self._places[: len(self._places) - run]
        if run < self._least:
            return self._take_leak()
        # Runs that overlap are one leak.
        begin = self._places[0]
        spans: list[FoundSpan] = []
        if self._leak is not None and begin >= self._leak[1]:
            spans = self._take_leak()
        self._leak = (self._leak[0] if self._leak is not None else begin, self._count + 1)
        return spans

    def _take_leak(self) -> list[FoundSpan]:
        """Returns the leak that has ended, once, if there is one."""
        leak, self._leak = self._leak, None
        if leak is None:
            return []
        return [
            FoundSpan(
                start=leak[0], end=leak[1], guard=self._guard, rule="system-prompt", kind=KIND, action=self._action
            )
        ]

    def _live(self) -> int:
        if self._leak is not None:
            return self._leak[0]
        return self._places[0] if self._places else self._count
