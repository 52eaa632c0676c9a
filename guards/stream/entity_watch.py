"""Entity watch: it has a finder look at a growing text, sentence by sentence, and tells what was found.

Each window is asked about once, with what came before it, and what begins in it is told. So what comes out does not
depend on how the text was cut. Asking blocks: a text with this watch is fed in a thread, never on an event loop.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from patchbay.core.errors import GuardFailed
from patchbay.guards.entities.adapter_finder import AskBlocking
from patchbay.guards.entities.finder import FinderFailed, FoundEntity
from patchbay.guards.entities.questions import Answer, Questions, first_failure
from patchbay.guards.entities.windows import Window, Windows
from patchbay.guards.escapes import SURROGATES, character_of
from patchbay.guards.stream.watch import WatchState
from patchbay.guards.verdict import Action, FoundSpan

UNCHECKED: Final = "ENTITIES_UNCHECKED"
_RULE: Final = "entity"
# Half a pair has no form in UTF-8. Each becomes one character, so that places stay.
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_ESCAPE: Final = re.compile(rf"(?P<pair>{SURROGATES})|\\(?:u(?P<code>[0-9a-fA-F]{{4}})|(?P<char>[^u]))", re.DOTALL)
_SIMPLE: Final = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySearch:
    """A guard's search for entities, with one tenant's overrides applied.

    `guard`: its name; `questions`: who is asked; `actions`: what is done about each kind; `min_score`: the lowest score
    that counts; `closed`: whether a text goes no further where there is no answer; `most`: the most characters of a
    window; `sentences`: whether one ends with a sentence, as on streams; `within_s`: the time limit of all questions
    about one prompt, in seconds; `waiting`: makes the block in which it waits for answers; `by`: asks a model on the
    engine, None where there is none.
    """

    guard: str
    questions: Questions
    actions: Mapping[str, Action]
    min_score: float
    closed: bool
    most: int
    sentences: bool
    within_s: float = math.inf
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    by: AskBlocking | None = None

    def ask(self, texts: Sequence[str]) -> Sequence[Answer]:
        """Returns what is found in each of `texts`, or why that is not known. It blocks."""
        with self.waiting():
            return self.questions.ask(texts, within_s=self.within_s, by=self.by)

    def windows(self) -> Windows:
        """Returns new windows for one text."""
        return Windows(self.most, sentences=self.sentences)

    def asked_ahead(self, texts: Iterable[tuple[str, bool]]) -> "EntitySearch":
        """Asks about all texts of a prompt, each with whether it is inside JSON, and returns the search for each.

        What was answered is found then. Raises GuardFailed where not all was in time, and the search is `closed`; else
        nothing more is asked about them.
        """
        asked = [
            asked_text(window.text, escaped=escaped)[0]
            for text, escaped in texts
            for window in self._windows_of(text)
            if _says(window)
        ]
        answers = self.ask(list(dict.fromkeys(asked)))
        if first_failure(answers) is None:
            return replace(self, within_s=math.inf)
        self.check_open()
        return replace(self, within_s=0)

    def check_open(self) -> None:
        """Raises GuardFailed where a text without an answer goes no further."""
        if self.closed:
            raise GuardFailed(f"The guard '{self.guard}' could not look at a text, so it was not let through.")

    def _windows_of(self, text: str) -> list[Window]:
        windows = self.windows()
        return [*windows.add(text), *windows.finish()]


class EntityWatch:
    """A `TextWatch` that finds entities. `escaped`: whether the text is inside JSON.

    `feed` and `finish` raise GuardFailed where there is no answer and the search is `closed`.
    """

    def __init__(self, search: EntitySearch, *, escaped: bool = False) -> None:
        self._search = search
        self._escaped = escaped
        self._windows = search.windows()
        # Up to where each kind was told. An entity that a window sees again is told no second time.
        self._told: dict[str, int] = {}

    def feed(self, text: str) -> WatchState:
        """Takes the next piece of the text; see `TextWatch`."""
        return self._state(self._windows.add(text))

    def finish(self) -> WatchState:
        """Takes the text's end; see `TextWatch`."""
        return self._state(self._windows.finish())

    def _state(self, windows: list[Window]) -> WatchState:
        asked = [(window, *asked_text(window.text, escaped=self._escaped)) for window in windows if _says(window)]
        answers = self._search.ask([text for _, text, _ in asked]) if asked else []
        spans = list[FoundSpan]()
        for (window, _, places), answer in zip(asked, answers, strict=True):
            if isinstance(answer, FinderFailed):
                spans.append(self._unchecked(window))
            else:
                spans += self._spans(window, answer, places)
        return WatchState(spans, self._windows.live)

    def _unchecked(self, window: Window) -> FoundSpan:
        self._search.check_open()
        return self._span(window.start, window.end, UNCHECKED, "flag")

    def _span(self, start: int, end: int, kind: str, action: Action) -> FoundSpan:
        guard = self._search.guard
        return FoundSpan(start=start, end=end, guard=guard, rule=_RULE, kind=kind, action=action)

    def _spans(self, window: Window, found: Sequence[FoundEntity], places: Sequence[int] | None) -> list[FoundSpan]:
        spans, told = list[FoundSpan](), dict(self._told)
        for entity in sorted(found):
            action = self._search.actions.get(entity.kind)
            if action is None or entity.score < self._search.min_score:
                continue
            first, last = (entity.start, entity.end) if places is None else (places[entity.start], places[entity.end])
            # What began before the window was let go, or told; of one that was not found then the rest is told.
            start = max(window.at + first, window.start, told.get(entity.kind, 0))
            end = window.at + last
            if start < min(end, window.end):
                self._told[entity.kind] = max(end, self._told.get(entity.kind, 0))
                spans.append(self._span(start, end, entity.kind, action))
        return spans


def _says(window: Window) -> bool:
    """Whether anything may be found in a window: a name has two letters or digits at least."""
    own = window.text[window.start - window.at : window.end - window.at]
    return sum(map(str.isalnum, own)) >= _FEWEST


def asked_text(text: str, *, escaped: bool) -> tuple[str, list[int] | None]:
    """Returns the text that a finder is asked about, and where each of its characters began in `text`, with the text's
    end; None for the same places. Pure. `escaped`: whether it is inside JSON, whose escapes are then read."""
    if not escaped or "\\" not in text:
        return _SURROGATES.sub("\ufffd", text), None
    parts, places, at = list[str](), list[int](), 0
    for match in _ESCAPE.finditer(text):
        parts += (text[at : match.start()], _unescaped(match))
        places += range(at, match.start() + 1)
        at = match.end()
    parts.append(text[at:])
    places += range(at, len(text) + 1)
    return _SURROGATES.sub("\ufffd", "".join(parts)), places


def _unescaped(match: re.Match[str]) -> str:
    if match["pair"] is not None:
        return character_of(match["pair"][2:6], match["pair"][8:])
    if match["code"] is not None:
        return chr(int(match["code"], 16))
    return _SIMPLE.get(match["char"], match["char"])
