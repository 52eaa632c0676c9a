"""Our own sets of personal data and secrets, in `sets/*.jsonl`: texts in which something is to be found, and texts that look
alike in which nothing is.

Secrets are written as what they are made of (`ghp_{{b62:36}}`) and joined here, so that nobody's scanner takes them for
real. What stands for one is the same each time.
"""

import json
import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "sets"
ALPHABETS = {
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
_PART = re.compile(r"\{\{(\w{3}):(\d{1,3})\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text. `spans`: what is to be found in it, as beginning, end and kind; `of`: what it looks like, where nothing is;
    `language`, `form`: what it is written in."""

    text: str
    language: str
    form: str
    spans: Sequence[tuple[int, int, str]] = ()
    of: str = ""


def texts(name: str) -> list[Text]:
    """Those of one file, without its ending."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [_text(json.loads(line)) for line in lines if line]


def _text(fields: dict[str, object]) -> Text:
    text = str(fields.pop("text"))
    return Text(text=joined(text), **fields)  # type: ignore[arg-type]


def joined(text: str) -> str:
    """A text with what its parts stand for."""
    rng = random.Random(text)  # noqa: S311
    return _PART.sub(lambda part: "".join(rng.choices(ALPHABETS[part[1]], k=int(part[2]))), text)
