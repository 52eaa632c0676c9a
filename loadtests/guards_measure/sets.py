"""The loader of our sets of texts with marked spans, `tests/redteam/sets/*.jsonl`.

A line is an object: `text`, `language`, `form`, `spans` as [start, end, kind], and `of`, the kind that a text without
spans looks like. Places are in characters of the text after its joints are taken out: `{{+}}` stands inside secrets, so
that no scanner takes them for live ones.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patchbay.guards.rules.tokens import ANY, CAPITALS, HEX, SMALL

FOLDER: Final = Path(__file__).parents[2] / "tests" / "redteam" / "sets"
_JOINTS: Final = {"{{+}}": "", "{{ANY}}": ANY, "{{HEX}}": HEX, "{{SMALL}}": SMALL, "{{CAPITALS}}": CAPITALS}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldSpan:
    """A span that is to be found. `start`, `end`: in characters; `kind`: the kind that our rules give it."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetText:
    """A text of a set. `file`: the name of the set's file; `form`: prose, json, csv or another; `of`: the kind that it
    looks like, where nothing may be found in it."""

    text: str
    language: str
    form: str
    spans: tuple[GoldSpan, ...]
    of: str = ""
    file: str = ""


def read_sets(folder: Path = FOLDER, pattern: str = "*.jsonl") -> list[SetText]:
    """Reads the sets of a folder. Raises ValueError, with the file and the line, where one is no text of a set."""
    return [text for file in sorted(folder.glob(pattern)) for text in _texts_of(file)]


def _texts_of(file: Path) -> Iterator[SetText]:
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                yield set_text(json.loads(line), file.name)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{file}, line {number}: {error}") from error


def set_text(row: dict[str, Any], file: str = "") -> SetText:
    """Makes a text of a set from one line's object. Raises ValueError, KeyError or TypeError where it cannot be one."""
    text = row["text"]
    if not isinstance(text, str):
        raise TypeError("`text` is no text")
    for joint, stands_for in _JOINTS.items():
        text = text.replace(joint, stands_for)
    if "{{" in text and "}}" in text.partition("{{")[2]:
        raise ValueError(
            f"there is no joint {text[text.index('{{') :].partition('}}')[0]}}}}}: use {', '.join(_JOINTS)}"
        )
    spans = tuple(GoldSpan(start=start, end=end, kind=kind) for start, end, kind in row["spans"])
    _check(spans, text)
    return SetText(
        text=text, language=row["language"], form=row["form"], spans=spans, of=row.get("of") or "", file=file
    )


def _check(spans: Sequence[GoldSpan], text: str) -> None:
    for span in spans:
        if not 0 <= span.start < span.end <= len(text) or not text[span.start : span.end].strip():
            raise ValueError(
                f"the span {span.start} to {span.end} is not in the text, which has {len(text)} characters"
            )
