"""Signs that a registry's SQLite file was there before: where it is gone, a new one in its place would be empty, and
routers would take it for all that there is.

A file beside it, `.made`, is written once its tables are; SQLite's own files, usage in the spool and stored adapters
count as well.
"""

from pathlib import Path

from patchbay.core.errors import RegistryError
from patchbay.registry.spool import Spool, sync_folder

_MADE = ".made"
_BESIDE = ("-wal", "-journal")


def sign_of(file: Path) -> Path | None:
    """What tells that there was a registry in `file`, or None. Ask before looking at the file itself: others may make
    it meanwhile."""
    marks = [marker_of(file), *(_beside(file, suffix) for suffix in _BESIDE)]
    if (found := next((mark for mark in marks if mark.exists()), None)) is not None:
        return found
    spooled = next(Spool(_beside(file, ".spool")).folder.glob("*.json"), None)
    return spooled or next(file.parent.glob("artifacts/sha256/*/*"), None)


def marker_of(file: Path) -> Path:
    """The file that says that there is a registry in `file`."""
    return _beside(file, _MADE)


def mark(file: Path) -> None:
    """Notes that there is a registry in `file`. Where nothing can be written beside it, there is no note."""
    marker = marker_of(file)
    try:
        if not marker.exists():
            marker.touch(mode=0o600)
            sync_folder(file.parent)
    except OSError:
        return


def lost(file: Path, sign: Path, what: str) -> RegistryError:
    """The error where the registry in `file` is gone: `what` is found in its place."""
    return RegistryError(
        f"The registry {file} was there before ({_told(file, sign)}), and {what} now.",
        hint="Put it back or restore a backup (patchbay restore DIR), or have a new, empty one: "
        "patchbay registry migrate --new.",
    )


def _told(file: Path, sign: Path) -> str:
    """What `sign` is, in words."""
    if sign.parent == file.parent:
        return f"{sign.name} is beside it"
    spool = Spool(_beside(file, ".spool")).folder
    if sign.parent == spool:
        return f"{spool.name} has usage for it"
    return f"{file.parent / 'artifacts'} has adapters of it"


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)
