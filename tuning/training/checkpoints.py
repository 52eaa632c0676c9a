"""Checkpoints: sealed once they are whole, so that one that a crash left half written is never gone on from."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from patchbay.core.disk import sync

SEAL: Final = "patchbay-checkpoint.json"
_NAME: Final = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class SealedCheckpoint:
    """A whole checkpoint, and the number of steps that were done."""

    step: int
    folder: Path


def seal(folder: Path, step: int) -> None:
    """Marks the checkpoint in `folder` as whole: all of its files are on the disk, with these sizes."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SEAL]
    for path in files:
        sync(path)
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    write_text(folder / SEAL, json.dumps({"step": step, "files": sizes}, indent=2))


def sealed(folder: Path) -> list[SealedCheckpoint]:
    """Lists the whole checkpoints in `folder`, by their steps."""
    found = folder.iterdir() if folder.is_dir() else ()
    steps = [(int(match[1]), path) for path in found if (match := _NAME.fullmatch(path.name))]
    return [SealedCheckpoint(step, path) for step, path in sorted(steps) if _is_whole(path, step)]


def remove_unsealed(folder: Path) -> list[str]:
    """Removes the checkpoints in `folder` that are not whole, and returns their names."""
    whole = {one.folder for one in sealed(folder)}
    broken = [path for path in sorted(folder.glob("checkpoint-*")) if path not in whole]
    for path in broken:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in broken]


def _is_whole(folder: Path, step: int) -> bool:
    try:
        told = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return told["step"] == step and all(
            (folder / name).stat().st_size == size for name, size in told["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path`, whole or not at all: beside it first, then renamed."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    sync(part)
    part.replace(path)
    sync(path.parent)
