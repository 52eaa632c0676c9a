"""Features of attacks: named signals, each found by a pattern, in English and for common phrases in German, French and
Spanish.

The families follow what has been published about such attacks: F. Perez and I. Ribeiro, "Ignore previous prompt", 2022
(goal hijacking, prompt leaking); K. Greshake et al., "Not what you've signed up for", 2023 (instructions in documents,
exfiltration by images); X. Shen et al., "Do anything now", 2023 (personas); A. Wei et al., "Jailbroken", 2023
(encodings, forced beginnings of answers); OWASP Top 10 for LLM applications, LLM01.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from patchbay.guards.injection.signals.leaks import DELIMITERS, ENCODINGS, FRAMES, LEAKS
from patchbay.guards.injection.signals.orders import ORDERS, PERSONAS

_QUOTES: Final = str.maketrans("\u2019\u2018\u02bc\u00b4`\u201c\u201d\u201e\u00ab\u00bb", "'''''" + '"' * 5)
SIGNALS: Final = (*ORDERS, *PERSONAS, *DELIMITERS, *LEAKS, *ENCODINGS, *FRAMES)

NAMES: Final = tuple(signal.name for signal in SIGNALS)
HIDDEN: Final = "hidden_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A signal found in a text. `signal`: its number in `NAMES`; `start`, `end`: in characters of the folded text."""

    signal: int
    start: int
    end: int


def plain(folded: str) -> str:
    """Returns a folded text in lower case, with plain quotes and single spaces, without empty lines."""
    if not folded.isascii() or "`" in folded:
        folded = folded.translate(_QUOTES)
    lines = (" ".join(line.split()) for line in folded.lower().splitlines())
    return "\n".join(line for line in lines if line)


def is_attack(signal: int) -> bool:
    """Whether a signal, by its number in `NAMES`, is a sign of an attack."""
    return SIGNALS[signal].attack


class Finder:
    """Finds signals in texts.

    All hints are looked for in one pass, by Aho and Corasick's automaton (Communications of the ACM 18, 1975). Patterns
    are searched for only where their hints are.
    """

    def __init__(self) -> None:
        from ahocorasick import Automaton

        self._automaton: Any = Automaton()
        for piece in {piece for signal in SIGNALS for group in signal.hints for piece in group}:
            self._automaton.add_word(piece, piece)
        self._automaton.make_automaton()

    def hits(self, folded: str) -> Iterator[Hit]:
        """Yields the signals in a text that was made `plain`; each may be found several times."""
        hinted: dict[str, list[int]] = {}
        for end, piece in self._automaton.iter(folded):
            hinted.setdefault(piece, []).append(end)
        for index, signal in enumerate(SIGNALS):
            for start, stop in _around([_places(group, hinted) for group in signal.hints], signal.reach):
                for match in signal.pattern.finditer(folded, start, stop):
                    yield Hit(signal=index, start=match.start(), end=match.end())


def _places(group: Sequence[str], hinted: Mapping[str, Sequence[int]]) -> list[int]:
    return sorted(chain.from_iterable(hinted[piece] for piece in group if piece in hinted))


def _around(groups: Sequence[Sequence[int]], reach: int) -> list[tuple[int, int]]:
    """Returns the stretches in which hints of all groups are near each other; stretches that overlap are joined."""
    if not all(groups):
        return []
    joined: list[tuple[int, int]] = []
    for place in min(groups, key=len):
        if not all(_is_near(place, group, reach) for group in groups):
            continue
        start = max(0, place - reach)
        if joined and start <= joined[-1][1]:
            start = joined.pop()[0]
        joined.append((start, place + reach))
    return joined


def _is_near(place: int, others: Sequence[int], reach: int) -> bool:
    after = bisect_left(others, place - reach)
    return after < len(others) and others[after] <= place + reach
