"""The lock on the project directory, which one `patchbay up` or one restore at a time can have."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from patchbay.core.errors import StartError
from patchbay.core.paths import make_private

_LOCK_FILE: Final = "up.lock"


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Locks the project directory `folder` for this process alone while in the block.

    Two processes that start replicas and a router on one registry would take each other's places. Raises StartError
    with the other's process id where another process has the lock.
    """
    path = folder / _LOCK_FILE
    try:
        make_private(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "Set PATCHBAY_DATA_DIR to a folder that can be written to."
        raise StartError(f"Cannot write to {folder}: {error.strerror}.", hint=hint) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise StartError(
                f"The project directory {folder} is in use by another 'patchbay up' (process {owner}).",
                hint="End that one, or give this one its own: PATCHBAY_DATA_DIR=FOLDER.",
            ) from error
        # The file is never removed: a process that opened it before would lock a file that nobody else finds.
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)
