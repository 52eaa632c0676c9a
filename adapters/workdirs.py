"""The staging folder: private folders for what is on its way, which do not outlive their process for long.

Each has a file beside it that its process holds locked. The kernel lets go of the lock when the process ends, however
it ends, so whoever finds a lock free may remove what it stood for.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.errors import ArtifactError
from adapters.paths import data_dir

_LOCK = ".lock"


class Workdirs:
    """Private folders below `root`, by default `staging` in the data directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else data_dir() / "staging"

    @contextmanager
    def new(self, purpose: str) -> Iterator[Path]:
        """A new folder that only this user can read, gone with the block. Removes what others have left, first.

        Raises ArtifactError where there can be none.
        """
        self.clean()
        path, descriptor = self._made(purpose)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            _lock_of(path).unlink(missing_ok=True)
            os.close(descriptor)

    def clean(self) -> int:
        """Removes the folders of processes that have ended without doing so, and counts them."""
        try:
            found = [path for path in self.root.iterdir() if path.is_dir() or path.suffix == _LOCK]
        except OSError:
            return 0
        return sum(_removed(path.with_suffix("")) for path in {path.with_suffix("") for path in found})

    def _made(self, purpose: str) -> tuple[Path, int]:
        path = self.root / f"{purpose}-{uuid.uuid4().hex}"
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.root.chmod(0o700)
            descriptor = _locked(path)
            path.mkdir(mode=0o700)
        except OSError as error:
            raise ArtifactError(
                f"{self.root} cannot be written: {error.strerror}.", hint="Set registry.sources.staging."
            ) from error
        return path, descriptor


def _locked(path: Path) -> int:
    """The lock's descriptor. It is there before the folder is, so that a folder without one is nobody's."""
    while True:
        descriptor = os.open(_lock_of(path), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Somebody who cleans up may have taken it for one that was left, between the two calls.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _removed(path: Path) -> bool:
    """Removes a folder, unless a process holds it; says whether it was there and is gone."""
    try:
        descriptor = os.open(_lock_of(path), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # Its process made the lock first and removes it last, so there is none any more.
        return _gone(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gone = _gone(path)
        _lock_of(path).unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return gone


def _gone(path: Path) -> bool:
    if not path.is_dir():
        return False
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)
