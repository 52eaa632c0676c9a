"""Working folders: temporary copies of adapters, gone with their process even where that is killed.

A folder is locked for as long as its process uses it, and the kernel lets go of a lock when a process ends. So whoever
makes the next one, or starts the next router, finds those that nobody holds, and removes them.

Source: flock(2).
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = ".patchbay-work-"
# Between being made and being locked a folder is nobody's.
_YOUNG_S: Final = 60.0


@contextmanager
def workdir(purpose: str, *, within: Path | None = None) -> Iterator[Path]:
    """A folder for `purpose` that goes with the block, in `within` or else where temporary files are. It may be renamed
    before that, to keep it. What killed processes left there is removed first."""
    root = within or Path(tempfile.gettempdir())
    remove_leftovers(root)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=root))
    held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def remove_leftovers(root: Path | None = None, *, older_than_s: float = _YOUNG_S) -> int:
    """Removes this user's working folders in `root` that no process holds. Returns how many; what cannot be looked at
    is left."""
    removed = 0
    with contextlib.suppress(OSError):
        for found in (root or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                removed += _removed(found, older_than_s)
    return removed


def _removed(folder: Path, older_than_s: float) -> bool:
    # Not through a link: where temporary files are, others may put some.
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        told = os.fstat(held)
        if told.st_uid != os.geteuid() or time.time() - told.st_mtime < older_than_s:
            return False
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(held)
