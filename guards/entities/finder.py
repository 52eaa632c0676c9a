"""The protocol of finders, which find entities in a text, and the one check of what they answer."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from patchbay.core.errors import PatchbayError


class FinderFailed(PatchbayError):
    """Raised by a finder that has no answer, or one that is in no format."""


class FoundEntity(NamedTuple):
    """An entity in a text: from `start` to before `end`, in characters, of `kind`, found with `score`, 0 to 1."""

    start: int
    end: int
    kind: str
    score: float


class EntityFinder(Protocol):
    """Finds entities. Called by several threads at a time, and never on an event loop."""

    def prepare(self) -> None:
        """Loads what takes long. Called before `find`, again where it failed. Raises FinderFailed."""

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        """Returns what is found in `text`. Raises FinderFailed."""


def checked(found: Iterable[tuple[Any, Any, str, float]], text: str) -> list[FoundEntity]:
    """Returns what a finder found. Raises FinderFailed where a place is not in `text`, which tells that it counts
    otherwise than we do."""
    entities = [FoundEntity(*one) for one in found]
    for start, end, _, score in entities:
        if not 0 <= start < end <= len(text):
            raise FinderFailed(f"It found something from {start} to {end} in a text of {len(text)} characters.")
        if not 0 <= score <= 1:
            raise FinderFailed(f"It found something with the score {score}, which is not between 0 and 1.")
    return entities
