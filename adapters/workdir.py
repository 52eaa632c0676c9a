"""Working folders: private folders for copies of adapters in transit, which do not outlive their process.

A folder is locked for as long as its process uses it, and the kernel releases a lock when a process ends, however it
ends. So whoever makes the next one in the same place, or starts the next router, finds those that nobody has locked,
and removes them.

Source: flock(2).
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from patchbay.core.errors import ArtifactError

_PREFIX: Final = ".patchbay-work-"
# What is made of a source in a working folder.
_WITHIN: Final = (
    rf"/{re.escape(_PREFIX)}[\w-]+"
    r"(?:/(?:unpacked|stored|fetched(?:/(?:oci|hub|folder))?)(?=[^\w.-]|$))?(?P<file>/(?=[\w.]))?"
)
_ADAPTER: Final = "the adapter"


@contextmanager
def workdir(purpose: str, *, within: Path | None = None) -> Iterator[Path]:
    """Makes a folder for `purpose` that is removed with the block, in `within` or else where temporary files are.

    Only this user can read it. It may be renamed before the block ends, to keep it. What killed processes left there is
    removed first. Raises ArtifactError where it cannot be made.
    """
    root = within or Path(tempfile.gettempdir())
    remove_leftovers(root)
    try:
        folder, lock = _create_locked(purpose, root)
    except OSError as error:
        raise ArtifactError(
            f"{root} cannot be written: {error.strerror}.", hint="Free space there, or name another folder."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def staged(purpose: str, root: Path) -> Iterator[Path]:
    """Makes a working folder in the staging folder `root`, which is made where it is missing and is this user's alone.

    Raises ArtifactError where that cannot be.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)
    except OSError as error:
        raise ArtifactError(
            f"{root} cannot be written: {error.strerror}.", hint="Set registry.sources.staging."
        ) from error
    with workdir(purpose, within=root) as folder:
        yield folder


def remove_leftovers(root: Path | None = None) -> int:
    """Removes this user's working folders in `root` that no process has locked; default: where temporary files are.

    Returns how many it removed. What cannot be looked at is left.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for found in (root or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                removed += _remove_unlocked(found)
    return removed


def without_workdirs(text: str, root: Path) -> str:
    """Returns `text` with files in working folders, in `root` or where temporary files are, named as they are within
    their adapter: for readers who must not learn where a server keeps them. Pure."""
    for place in dict.fromkeys((str(root), str(root.resolve()), tempfile.gettempdir())):
        text = re.sub(re.escape(place.rstrip("/")) + _WITHIN, lambda match: "" if match["file"] else _ADAPTER, text)
    return text


def _create_locked(purpose: str, root: Path) -> tuple[Path, int]:
    """Makes a new folder and locks it. Returns it and the descriptor that holds its lock. Raises OSError."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=root))
        # Before it is locked, a clean-up may take it for a leftover and remove it: then try again.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_unlocked(folder: Path) -> bool:
    # Never through a link: other users may put links where temporary files are.
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
