"""A known text, the request's system prompt, found in a growing one.

A suffix automaton of the known text's letters and digits tells, at each character, how long a run before it stands
there too. A run of `least` or more is a leak; what may become one is held, so the beginning of a leak is never out.

Source: Blumer et al., "The smallest automaton recognizing the subwords of a text", 1985.
"""

from patchbay.guards.folding import folded_char
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import Action, FoundSpan

KIND = "SYSTEM_PROMPT"


class SuffixAutomaton:
    """All that stands in a text, as one automaton: linear in the text's length. Immutable once made."""

    __slots__ = ("length", "link", "step")

    def __init__(self, text: str) -> None:
        self.step: list[dict[str, int]] = [{}]
        self.link = [-1]
        self.length = [0]
        last = 0
        for char in text:
            last = self._extend(last, char)

    def _extend(self, last: int, char: str) -> int:
        step, link, length = self.step, self.link, self.length
        new = self._state(length[last] + 1, {}, 0)
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
        twin = self._state(length[place] + 1, dict(step[other]), link[other])
        while place != -1 and step[place].get(char) == other:
            step[place][char] = twin
            place = link[place]
        link[other] = link[new] = twin
        return new

    def _state(self, length: int, step: dict[str, int], link: int) -> int:
        self.step.append(step)
        self.length.append(length)
        self.link.append(link)
        return len(self.step) - 1


def letters(text: str) -> str:
    """What is compared of a text: its letters and digits, folded, without their case."""
    return "".join(one for char in text for one in folded_char(char).lower() if one.isalnum())


class LeakWatch:
    """A `Watch`. `known`: the automaton of what is not to be told; `least`: letters and digits in a row."""

    def __init__(self, known: SuffixAutomaton, least: int, guard: str, action: Action) -> None:
        self._known = known
        self._least = least
        self._guard = guard
        self._action: Action = action
        self._state = 0
        self._run = 0
        self._places: list[int] = []
        self._count = 0
        self._leak: tuple[int, int] | None = None

    def feed(self, text: str) -> WatchState:
        """As `Watch` says."""
        spans: list[FoundSpan] = []
        for char in text:
            for one in folded_char(char).lower():
                if one.isalnum():
                    spans += self._next(one)
            self._count += 1
        return WatchState(spans, self._live())

    def finish(self) -> WatchState:
        """As `Watch` says."""
        return WatchState(self._told(), self._count)

    def _next(self, char: str) -> list[FoundSpan]:
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
            return self._told()
        # Runs that overlap are one leak.
        begin = self._places[0]
        told: list[FoundSpan] = []
        if self._leak is not None and begin >= self._leak[1]:
            told = self._told()
        self._leak = (self._leak[0] if self._leak is not None else begin, self._count + 1)
        return told

    def _told(self) -> list[FoundSpan]:
        leak, self._leak = self._leak, None
        if leak is None:
            return []
        return [FoundSpan(leak[0], leak[1], self._guard, "system-prompt", KIND, self._action)]

    def _live(self) -> int:
        if self._leak is not None:
            return self._leak[0]
        return self._places[0] if self._places else self._count
