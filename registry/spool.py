"""The spool: files in which a process that ends leaves what it could not write to the registry, for the next one.

A file is there whole or not at all, and only its user can read it. It holds a numbered batch. The registry records that
the batch was taken, so it is counted once, even where its file could not be removed after that.
"""

import contextlib
import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from patchbay.core.errors import ArtifactError
from patchbay.core.paths import data_dir

_log = logging.getLogger("patchbay.registry")
_SUFFIX: Final = ".json"
_PART_SUFFIX: Final = ".part"
_STALE_PART_S: Final = 3600.0
_UNCOUNTED_SUFFIX: Final = ".uncounted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """A batch in the spool. `kind`: the kind of its content, such as `usage`; `content`: JSON."""

    kind: str
    source: str
    number: int
    content: Any


class Spool:
    """The spool in `folder`, which is made when the first file is written. Its methods block on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, batch: Spooled) -> Path:
        """Writes a batch to the disk, and returns its file. Raises ArtifactError where that fails."""
        path = self.folder / f"{batch.kind}-{batch.source}-{batch.number}{_SUFFIX}"
        part = path.with_name(f".{path.name}-{uuid.uuid4().hex}{_PART_SUFFIX}")
        fields = {"kind": batch.kind, "source": batch.source, "number": batch.number, "content": batch.content}
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(part, json.dumps(fields).encode())
            part.rename(path)
            sync_folder(self.folder)
            # The folder itself may be new.
            sync_folder(self.folder.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise ArtifactError(f"{self.folder} cannot be written: {error.strerror}.") from error
        return path

    def take_in(self, kind: str, take: Callable[[Spooled], object]) -> int:
        """Calls `take` with each batch of this kind, removes its file after that, and returns the number of batches.

        Batches of one source come in order. `take` must count a batch once only, by its source and number: where this
        process dies before the file is removed, or another process does the same now, the batch comes again. An error
        that `take` raises ends this call, and the file stays. But a file that is malformed, or for which `take` raises
        ValueError, is renamed and reported in the log.
        """
        self._remove_leftovers(time.time())
        batches = ((path, _read(path)) for path in self._files(kind))
        found = [(path, batch) for path, batch in batches if batch is not None]
        for path, batch in sorted(found, key=lambda entry: (entry[1].source, entry[1].number)):
            try:
                take(batch)
            except ValueError as error:
                _put_aside(path, error)
            else:
                path.unlink(missing_ok=True)
        return len(found)

    def waiting(self, kind: str) -> int:
        """Counts the batches of this kind."""
        return len(self._files(kind))

    def _remove_leftovers(self, now: float) -> None:
        """Removes the partial files of writers that were killed: a live writer finishes within moments."""
        for part in self.folder.glob(f".*{_PART_SUFFIX}"):
            with contextlib.suppress(OSError):
                if now - part.stat().st_mtime > _STALE_PART_S:
                    part.unlink()

    def _files(self, kind: str) -> list[Path]:
        try:
            return sorted(self.folder.glob(f"{kind}-*{_SUFFIX}"))
        except OSError:
            return []


def spool_of(registry_url: str) -> Spool:
    """Returns the spool of the registry at `registry_url`: beside an SQLite file, else in the user directory."""
    url = make_url(registry_url)
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        return Spool(Path(f"{url.database}.spool"))
    # Without the password, which may change while the registry stays the same.
    digest = hashlib.sha256(url.set(password=None, query={}).render_as_string().encode()).hexdigest()
    return Spool(data_dir() / "spool" / digest[:16])


def write_private(path: Path, content: bytes) -> None:
    """Writes a new file that only this user may read, and flushes it to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flushes `folder` to the disk, so that files which were renamed or made in it survive a crash. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Spooled | None:
    try:
        fields = json.loads(path.read_bytes())
        return _spooled(fields)
    except FileNotFoundError:
        return None  # another router has taken it in
    except (OSError, ValueError, KeyError, TypeError) as error:
        _put_aside(path, error)
        return None


def _put_aside(path: Path, error: Exception) -> None:
    uncounted = path.with_name(path.name + _UNCOUNTED_SUFFIX)
    why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    _log.error("%s is not counted (%s); it is put aside as %s", path, why, uncounted.name)
    with contextlib.suppress(OSError):
        path.rename(uncounted)


def _spooled(fields: Mapping[str, Any]) -> Spooled:
    return Spooled(
        kind=str(fields["kind"]), source=str(fields["source"]), number=int(fields["number"]), content=fields["content"]
    )
