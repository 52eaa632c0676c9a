"""The history of a run: the losses that were seen, as JSON lines."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from patchbay.tuning.training.checkpoints import write_text

HISTORY_FILE: Final = "history.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """The losses after `step` steps, and more that was measured then. Losses of sft are in nats a token.

    `loss`: of training, since the point before; `validation`, `general`: losses of those rows; `rate`: the learning
    rate; `gradient`: its norm before clipping; `accuracy`: the share of pairs whose chosen answer is the likelier, for
    preferences; `seconds`: since the process began.
    """

    step: int
    loss: float | None = None
    validation: float | None = None
    general: float | None = None
    rate: float | None = None
    gradient: float | None = None
    accuracy: float | None = None
    seconds: float | None = None

    def as_json(self) -> dict[str, float | int]:
        """Returns what was measured, without the rest."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_history(folder: Path) -> list[HistoryPoint]:
    """Reads the history of the run in `folder`. A last line that a crash cut is left out."""
    path = folder / HISTORY_FILE
    points: list[HistoryPoint] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            points.append(HistoryPoint(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return points


def write_history(folder: Path, points: Iterable[HistoryPoint]) -> None:
    """Writes the whole history of the run in `folder`."""
    write_text(folder / HISTORY_FILE, "".join(f"{json.dumps(point.as_json())}\n" for point in points))


def append(folder: Path, point: HistoryPoint) -> None:
    """Adds a point to the history of the run in `folder`."""
    with (folder / HISTORY_FILE).open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(point.as_json())}\n")


def losses(points: Sequence[HistoryPoint], kind: str) -> list[tuple[int, float]]:
    """Returns the steps and values of one kind of loss: loss, validation or general."""
    return [(point.step, value) for point in points if (value := getattr(point, kind)) is not None]


def best_step(points: Sequence[HistoryPoint], among: Iterable[int]) -> int | None:
    """Returns the step of the lowest validation loss among the steps `among`; the last of them where none is validated,
    None where there are none."""
    kept = sorted(among)
    validated = [(value, step) for step, value in losses(points, "validation") if step in kept]
    return min(validated)[1] if validated else (kept[-1] if kept else None)
