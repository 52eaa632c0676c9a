"""Writing that lasts: what was written, or renamed, is on the disk before anything relies on it."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Syncs one file or folder to the disk. Blocks. A rename lasts once the folder that it changed is there, too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
