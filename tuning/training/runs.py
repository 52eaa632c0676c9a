"""Runs: the folder of each, and the record in it of what was trained from what, how, and what came of it."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from patchbay.adapters.digest import digest_of
from patchbay.core.errors import ConfigError, Conflict, NotFound
from patchbay.core.settings import Settings
from patchbay.tuning.training.checkpoints import write_text
from patchbay.tuning.training.data import Sources
from patchbay.tuning.training.recipe import TrainingRecipe

RECORD_FILE: Final = "run.json"
CHECKPOINTS: Final = "checkpoints"
LOG_FILE: Final = "worker.log"
LEFT_OUT_FILE: Final = "left-out.jsonl"
_LOCK: Final = ".lock"
State = Literal["ready", "running", "finishing", "done", "diverged", "failed"]
Step = Literal["begin", "resume", "done"]


class RunRecord(Settings):
    """The record of a run, in its folder's `run.json`. Times are UTC in ISO 8601; digests are SHA-256 in hex.

    `identity`: of all that changes the result, which a run that goes on must share; `used`: what it took, in seconds
    and bytes; `findings`: what the watch found, in words.
    """

    name: str
    state: State = "ready"
    identity: str
    recipe: dict[str, Any]
    recipe_digest: str
    data: dict[str, Any]
    data_digest: str
    base_fingerprint: str | None = None
    seed: int
    threads: int
    command: str
    commit: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    environment_digest: str | None = None
    began: str
    ended: str | None = None
    resumed: int = 0
    steps: int | None = None
    trainable: int | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    findings: tuple[str, ...] = ()
    checkpoints: tuple[int, ...] = ()
    rows: dict[str, int] = Field(default_factory=dict)
    estimate: dict[str, float] = Field(default_factory=dict)
    used: dict[str, float] = Field(default_factory=dict)
    fault: str | None = None

    def parsed(self) -> TrainingRecipe:
        """Returns the recipe."""
        return TrainingRecipe.model_validate(self.recipe)

    def sources(self) -> Sources:
        """Returns the files of the rows."""
        return Sources.from_json(self.data)


def identity(recipe_digest: str, data: str, base: str | None) -> str:
    """Returns the digest of all that changes a run's result: of its recipe, its data and its base."""
    return digest_of({"recipe": recipe_digest, "data": data, "base": base or ""})


def now() -> str:
    """Returns the time, for a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_record(folder: Path) -> RunRecord:
    """Reads the record of the run in `folder`. Raises NotFound where there is none, ConfigError where it is damaged."""
    path = folder / RECORD_FILE
    try:
        return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no run in {folder}.", hint="`patchbay tune list` shows those that there are."
        ) from error
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path} cannot be read as a run's record: {' '.join(str(error).split())[:300]}.") from error


def write_record(folder: Path, record: RunRecord) -> RunRecord:
    """Writes the record of the run in `folder`, whole or not at all, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / RECORD_FILE, f"{json.dumps(record.model_dump(mode='json'), indent=2, ensure_ascii=False)}\n")
    return record


def update(folder: Path, **changes: Any) -> RunRecord:
    """Changes parts of the record of the run in `folder`."""
    document = read_record(folder).model_dump() | changes
    return write_record(folder, RunRecord.model_validate(document))


def next_step(found: RunRecord | None, wanted: RunRecord) -> Step:
    """Decides how the run goes on that is `wanted` in a folder that holds `found`. Pure.

    Raises Conflict where that is another run.
    """
    if found is None:
        return "begin"
    if found.identity != wanted.identity:
        changed = ", ".join(_changed(found, wanted))
        raise Conflict(
            f"The folder of {wanted.name} holds a run that differs in: {changed}.",
            hint="Give the recipe another name, or begin anew with --fresh, which keeps the old run beside it.",
        )
    return "done" if found.state == "done" else "resume"


def _changed(found: RunRecord, wanted: RunRecord) -> Iterator[str]:
    parts: Mapping[str, bool] = {
        "its recipe": found.recipe_digest != wanted.recipe_digest,
        "its data": found.data != wanted.data,
        "its base model": found.base_fingerprint != wanted.base_fingerprint,
    }
    yield from (name for name, differs in parts.items() if differs)


def find_record(folder: Path) -> RunRecord | None:
    """Reads the record of the run in `folder`, None where there is none. Raises ConfigError."""
    return read_record(folder) if (folder / RECORD_FILE).is_file() else None


def put_aside(folder: Path) -> Path:
    """Renames the folder of a run to the first free `NAME.old-N`, and returns that."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return folder.rename(aside)


def all_runs(folder: Path) -> list[tuple[Path, RunRecord]]:
    """Lists the runs in the folders of `folder`, the newest first. What is no run's record is left out."""
    found = []
    for path in folder.glob(f"*/{RECORD_FILE}"):
        try:
            found.append((path.parent, read_record(path.parent)))
        except ConfigError:
            continue
    return sorted(found, key=lambda pair: pair[1].began, reverse=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time work on the run in `folder`. The kernel releases the lock of one that dies.

    Raises Conflict where another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"Another process trains in {folder}.", hint="Wait for it, or give this recipe another name."
            ) from error
        yield
