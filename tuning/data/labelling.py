"""The queue of rows to be labelled by several people: a file of JSON lines that is only ever appended to.

Its first line says what is labelled, each further one is a label. So a run that is cut off loses nothing, two people
can label at the same time in copies that are joined by appending, and who labelled what stays known.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from patchbay.core.errors import ConfigError, DataError
from patchbay.tuning.data.agreement import disagreements, krippendorff_alpha
from patchbay.tuning.data.rows import ANSWERER, Row, row_of

# The name under which a decision about a disagreement stands.
ADJUDICATED: Final = "adjudicated"
INTO: Final = ("answer", "tag", "vote")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTask:
    """The task of a queue. `data`: the data set, `tickets@1`; `labels`: to choose from; `rows`: digests of the rows, in
    the order in which they are shown; `guidelines`: the SHA-256 of the guidelines, None without any."""

    data: str
    labels: tuple[str, ...]
    rows: tuple[str, ...]
    guidelines: str | None = None


@dataclass(slots=True)
class LabelQueue:
    """The labels of a task. `given`: by the digest of the row, then by annotator; of one annotator the last counts."""

    path: Path
    task: LabelTask
    given: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, row: str, annotator: str, label: str) -> None:
        """Appends a label, onto the disk. Raises DataError."""
        _append(self.path, {"row": row, "annotator": annotator, "label": label})
        self.given.setdefault(row, {})[annotator] = label

    def waiting(self, annotator: str) -> list[str]:
        """Lists the rows that this annotator has not labelled, in order."""
        return [row for row in self.task.rows if annotator not in self.given.get(row, {})]

    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Returns the labels that people gave, without decisions, in the task's order."""
        return {
            row: {name: label for name, label in self.given[row].items() if name != ADJUDICATED}
            for row in self.task.rows
            if row in self.given
        }

    def alpha(self) -> float | None:
        """Computes the annotators' agreement."""
        return krippendorff_alpha([tuple(given.values()) for given in self.labels().values()])

    def open_disagreements(self) -> list[str]:
        """Lists the rows about which people disagree and nobody has decided."""
        return [row for row in disagreements(self.labels()) if ADJUDICATED not in self.given[row]]

    def final(self) -> Mapping[str, str]:
        """Returns the label of each row that has one: what was decided, else what all who labelled it say."""
        found = {}
        for row, given in self.given.items():
            if ADJUDICATED in given:
                found[row] = given[ADJUDICATED]
            elif len(set(given.values())) == 1:
                found[row] = next(iter(given.values()))
        return found


def open_queue(path: Path, task: LabelTask | None) -> LabelQueue:
    """Opens the queue in `path`, and begins it with `task` where there is none. Raises ConfigError where the queue is
    of another task or there is none and no task, DataError where it cannot be read."""
    if not path.exists():
        if task is None:
            raise ConfigError(f"There is no queue {path}.", hint="Begin one with --labels and --annotator.")
        head = {"data": task.data, "labels": task.labels, "rows": task.rows, "guidelines": task.guidelines}
        _append(path, head)
        return LabelQueue(path, task)
    queue = _read(path)
    if task is not None and (queue.task.data, queue.task.labels) != (task.data, task.labels):
        raise ConfigError(
            f"{path} is a queue of {queue.task.data} with the labels {', '.join(queue.task.labels)}.",
            hint="Name another file with --queue.",
        )
    return queue


def chosen_rows(digests: Iterable[str], count: int, seed: int) -> tuple[str, ...]:
    """Chooses rows to label: those whose keyed hashes are least, each once."""
    keyed = sorted(set(digests), key=lambda row: blake2b(f"{seed}:{row}".encode(), digest_size=8).digest())
    return tuple(keyed[:count])


def parse_labels(text: str) -> tuple[str, ...]:
    """Reads labels as `billing,delivery`. Raises ConfigError where they are not at least two different ones."""
    labels = tuple(dict.fromkeys(label.strip() for label in text.split(",") if label.strip()))
    if len(labels) < 2:
        raise ConfigError(f"'{text}' are no labels.", hint="Write at least two, as billing,delivery.")
    return labels


def meant_label(typed: str, labels: Sequence[str]) -> str | None:
    """Returns the label that was typed: by its number from 1, its name, or a beginning that only it has."""
    said = typed.strip()
    if said.isdecimal() and 1 <= int(said) <= len(labels):
        return labels[int(said) - 1]
    found = [label for label in labels if label == said] or [
        label for label in labels if said and label.startswith(said)
    ]
    return found[0] if len(found) == 1 else None


def labelled(row: Row, label: str, into: str) -> Row:
    """Returns a row with its label: as the answer, as a tag `label:…`, or as a vote, for which the first of two labels,
    `good`, `yes`, `up` or `true`, means a good answer. Raises DataError where the row cannot have it."""
    if into == "tag":
        return row.marked(tags=(*row.marks.tags, f"label:{label}"))
    if row.kind != "chat":
        raise DataError(f"A {row.kind} row has no answer that a label could be: use --into tag.")
    *asked, last = row.parts["messages"]
    document = row.document()
    del document["messages"]
    if into == "answer":
        return row_of({**document, "messages": [*asked, {"role": ANSWERER, "content": label}]})
    document.pop("tools", None)
    return row_of({**document, "prompt": asked, "completion": [last], "label": label})


def _read(path: Path) -> LabelQueue:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0])
        task = LabelTask(
            data=head["data"],
            labels=tuple(head["labels"]),
            rows=tuple(head["rows"]),
            guidelines=head.get("guidelines"),
        )
        queue = LabelQueue(path, task)
        for line in lines[1:]:
            _take(queue, line)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{path} is no queue of labels: {error}.") from error
    return queue


def _take(queue: LabelQueue, line: str) -> None:
    """Takes a line. One that was cut off when its process died was never a label."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return
    # Queues of two people that were joined have two heads.
    if "row" in said:
        queue.given.setdefault(said["row"], {})[said["annotator"]] = said["label"]


def _append(path: Path, line: Mapping[str, Any]) -> None:
    try:
        text = json.dumps(line, ensure_ascii=False) + "\n"
        cut = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if cut else "") + text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
