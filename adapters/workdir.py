"""Working folders: private folders for copies of adapters on their way, gone with their process, however that ends.

A folder is locked for as long as its process uses it, and the kernel lets go of a lock when a process ends, however it
ends. So whoever makes the next one in the same place, or starts the next router, finds those that nobody holds, and
removes them.

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
    rf"/{re.escape(_PREFIX)}[\w-]+(?:/(?:unpacked|fetched(?:/(?:oci|hub|folder))?)(?=[^\w.-]|$))?(?P<file>/(?=[\w.]))?"
)
_ADAPTER: Final = "the adapter"


@contextmanager
def workdir(purpose: str, *, within: Path | None = None) -> Iterator[Path]:
    """A folder for `purpose` that goes with the block, in `within` or else where temporary files are. Only this user
    can read it. It may be renamed before the block ends, to keep it. What killed processes left there is removed first.

    Raises ArtifactError where there can be none.
    """
    root = within or Path(tempfile.gettempdir())
    remove_leftovers(root)
    try:
        made, held = _made(purpose, root)
    except OSError as error:
        raise ArtifactError(
            f"{root} cannot be written: {error.strerror}.", hint="Free space there, or name another folder."
        ) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


@contextmanager
def staged(purpose: str, root: Path) -> Iterator[Path]:
    """A working folder in the staging folder `root`, which is made where there is none, and which only this user can
    read. Raises ArtifactError where that cannot be."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)
    except OSError as error:
        raise ArtifactError(
            f"{root} cannot be written: {error.strerror}.", hint="Set registry.sources.staging."
        ) from error
    with workdir(purpose, within=root) as made:
        yield made


def remove_leftovers(root: Path | None = None) -> int:
    """Removes this user's working folders in `root`, by default where temporary files are, that no process holds.
    Returns how many; what cannot be looked at is left."""
    removed = 0
    with contextlib.suppress(OSError):
        for found in (root or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                removed += _removed(found)
    return removed


def without_workdirs(text: str, root: Path) -> str:
    """`text` with files in working folders, in `root` or where temporary files are, called as they are within their
    adapter or by their own names: for who must not learn where a server has them. Pure."""
    for place in dict.fromkeys((str(root), str(root.resolve()), tempfile.gettempdir())):
        text = re.sub(re.escape(place.rstrip("/")) + _WITHIN, lambda match: "" if match["file"] else _ADAPTER, text)
    return text


def _made(purpose: str, root: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock. Raises OSError."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=root))
        # Until it is locked, whoever cleans up here may take it for one that was left.
        with contextlib.suppress(FileNotFoundError):
            held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(held, fcntl.LOCK_EX)
            if made.exists():
                return made, held
            os.close(held)


def _removed(folder: Path) -> bool:
    # Not through a link: where temporary files are, others may put some.
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(held).st_uid != os.geteuid():
            return False
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    except BlockingIOError:
        return False
    finally:
        os.close(held)
