"""The cases, in `cases/*.jsonl`: none is made from a template that the detector is trained on."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """A text. `family`: what it tries, or `benign`; `attack`: whether it should be taken for an attack."""

    text: str
    family: str
    attack: bool


def cases() -> list[Case]:
    """All of them."""
    lines = [line for file in sorted(FOLDER.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").split("\n")]
    return [Case(**json.loads(line)) for line in lines if line]
