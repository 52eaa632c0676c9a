"""A fake finder of entities: it knows a few names, and says what it was asked."""

import re
import threading
from collections.abc import Sequence

from patchbay.guards.entities.finder import EntityFinder, FinderFailed, FoundEntity
from patchbay.guards.entities.language import Languages
from patchbay.guards.entities.questions import Questions
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.entity_watch import EntitySearch, EntityWatch
from patchbay.guards.verdict import Action, FoundSpan

PERSON = re.compile(
    r"\b(?:Jane Q\. Miller|Ada Lovelace|J\. R\. Tolkien|Anna-Lena M\u00fcller|\u738b\u5c0f\u660e|x{119}y)"
)
PLACE = re.compile(r"\b(?:Springfield|12 Main Street)\b")


class NameFinder:
    """An `EntityFinder` for the names of two patterns. `asked`: the texts; `failing`: whether it has no answer;
    `threads`: those that asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing = False
        self.threads: set[int] = set()

    def prepare(self) -> None:
        """Nothing to load."""

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        """Finds the names."""
        self.asked.append(text)
        self.threads.add(threading.get_ident())
        if self.failing:
            raise FinderFailed("It fails.")
        return found_in(text)


def found_in(text: str) -> list[FoundEntity]:
    """What is in a text that is looked at as a whole."""
    people = [FoundEntity(*match.span(), "PERSON", 0.9) for match in PERSON.finditer(text)]
    return people + [FoundEntity(*match.span(), "LOCATION", 0.6) for match in PLACE.finditer(text)]


class AtOnce(Questions):
    """Questions that are asked without threads, for texts by the thousand."""

    def __init__(self, finder: NameFinder) -> None:
        super().__init__(finder, Languages(("en",)), 5)
        self.finder = finder

    def _asked(
        self, texts: dict[bytes, str], within_s: float, finder: EntityFinder
    ) -> dict[bytes, Sequence[FoundEntity] | FinderFailed]:
        return {key: self.finder.find(text, "en") for key, text in texts.items()}


def search(
    questions: Questions, *, person: Action = "redact", place: Action = "flag", most: int = 300, sentences: bool = True
) -> EntitySearch:
    """A search for persons and places."""
    return EntitySearch(
        guard="people",
        questions=questions,
        actions={"PERSON": person, "LOCATION": place},
        min_score=0.5,
        closed=True,
        most=most,
        sentences=sentences,
    )


def marked(span: FoundSpan) -> str:
    """A marker."""
    return f"[{span.kind}]"


def channel_of(one: EntitySearch, *, is_json: bool = False) -> Channel:
    """A channel with the search's watch."""
    return Channel([EntityWatch(one, escaped=is_json)], marked, is_json=is_json)
