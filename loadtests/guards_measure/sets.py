"""The loader of our sets of texts with marked spans, `tests/redteam/sets/*.jsonl`.

A line is an object: `text`, `language`, `form`, `spans` as [start, end, kind], and `of`, the kind that a text without
spans looks like. Places are in characters of the text after its joints are replaced, so that no scanner takes secrets
for live ones: `{{+}}` stands for nothing, `{{b62:36}}` for 36 letters and digits, the same ones each time.
"""

import json
import random
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patchbay.guards.rules.tokens import ANY, CAPITALS, HEX, SMALL

FOLDER: Final = Path(__file__).parents[2] / "tests" / "redteam" / "sets"
_ALPHABETS: Final = {
    "b62": string.ascii_letters + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "hex": "0123456789abcdef",
    "low": string.ascii_lowercase + string.digits,
    "cap": string.ascii_uppercase + string.digits,
    "b32": string.ascii_uppercase + "234567",
    "let": string.ascii_letters,
    "dig": string.digits,
    "url": string.ascii_letters + string.digits + "-_",
}
_MADE: Final = re.compile(rf"\{{\{{({'|'.join(_ALPHABETS)}):(\d{{1,3}})\}}\}}")
# Looks like a joint, and not like what templates of programs have: `{{ .Values.secret }}`.
_UNKNOWN: Final = re.compile(r"\{\{(?:\w+:\d+|[A-Z]+|\+)\}\}")
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
    text = joined(text)
    if (unknown := _UNKNOWN.search(text)) is not None:
        raise ValueError(
            f"there is no joint {unknown[0]}: use {', '.join(_JOINTS)}, or {{{{b62:36}}}}, with one of "
            f"{', '.join(_ALPHABETS)}"
        )
    spans = tuple(GoldSpan(start=start, end=end, kind=kind) for start, end, kind in row["spans"])
    _check(spans, text)
    return SetText(
        text=text, language=row["language"], form=row["form"], spans=spans, of=row.get("of") or "", file=file
    )


def joined(text: str) -> str:
    """Returns a text with what its joints stand for."""
    chance = random.Random(text)  # noqa: S311
    made = _MADE.sub(lambda part: "".join(chance.choices(_ALPHABETS[part[1]], k=int(part[2]))), text)
    for joint, stands_for in _JOINTS.items():
        made = made.replace(joint, stands_for)
    return made


def _check(spans: Sequence[GoldSpan], text: str) -> None:
    for span in spans:
        if not 0 <= span.start < span.end <= len(text) or not text[span.start : span.end].strip():
            raise ValueError(
                f"the span {span.start} to {span.end} is not in the text, which has {len(text)} characters"
            )
