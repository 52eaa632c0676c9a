"""The reader of what an adapter answers that names persons and addresses: from names to places in the text."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from patchbay.guards.entities.finder import FinderFailed, FoundEntity

# The answer's lists, and the kinds that they stand for, by Presidio's names.
KINDS_OF_LISTS: Final[Mapping[str, str]] = {"persons": "PERSON", "addresses": "LOCATION"}
# A model that repeats itself names the same forever.
_MOST_NAMES: Final = 200


def named_entities(answer: str, text: str) -> list[FoundEntity]:
    """Returns where `text` has what `answer` names, each time that it does.

    `answer`: a JSON object with the lists of `KINDS_OF_LISTS`. A name that is not in the text as it is spelt stands for
    nothing: an adapter must not be able to say more than that something is there. An answer of a language model has no
    score, so each counts 1. Raises FinderFailed where `answer` is no such object.
    """
    lists = _object(answer)
    places: set[tuple[int, int, str]] = set()
    for key, kind in KINDS_OF_LISTS.items():
        for name in _names(lists.get(key, [])):
            places |= {(start, end, kind) for start, end in _occurrences(name, text)}
    return [FoundEntity(start, end, kind, 1.0) for start, end, kind in sorted(places)]


def _object(answer: str) -> dict[str, Any]:
    try:
        lists = json.loads(answer)
    except ValueError as error:
        raise FinderFailed("The adapter's answer is no JSON.") from error
    if not isinstance(lists, dict) or not lists.keys() & KINDS_OF_LISTS.keys():
        raise FinderFailed(f"The adapter's answer has none of the lists {', '.join(KINDS_OF_LISTS)}.")
    return lists


def _names(listed: Any) -> Iterator[str]:
    if not isinstance(listed, list):
        raise FinderFailed("A list of the adapter's answer is none.")
    for name in listed[:_MOST_NAMES]:
        if not isinstance(name, str):
            raise FinderFailed("A name in the adapter's answer is no text.")
        if name.strip():
            yield name.strip()


def _occurrences(name: str, text: str) -> Iterator[tuple[int, int]]:
    """Yields where `name` stands as whole words: `Al` is not in `Also`."""
    for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text):
        yield found.span()
