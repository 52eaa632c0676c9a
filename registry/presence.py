"""The signs that a registry's SQLite file was there before.

Where such a file is gone, a new one in its place would be empty, and routers would take it for the whole registry. A
file beside it, `.made`, is written once its tables are; SQLite's own files, usage in the spool and stored adapters
count as signs as well.
"""

from pathlib import Path

from patchbay.core.errors import RegistryError
from patchbay.registry.spool import Spool, sync_folder

_MADE = ".made"
_BESIDE = ("-wal", "-journal")


def sign_of(file: Path) -> Path | None:
    """Finds a file that shows that there was a registry in `file`, or returns None.

    Call it before looking at the file itself: other processes may make it meanwhile.
    """
    marks = [marker_of(file), *(_beside(file, suffix) for suffix in _BESIDE)]
    if (found := next((mark for mark in marks if mark.exists()), None)) is not None:
        return found
    spooled = next(Spool(_beside(file, ".spool")).folder.glob("*.json"), None)
    return spooled or next(file.parent.glob("artifacts/sha256/*/*"), None)


def is_sqlites_own(sign: Path) -> bool:
    """Whether `sign` is a file that SQLite keeps beside its own, which is there as soon as anybody makes one."""
    return sign.name.endswith(_BESIDE)


def marker_of(file: Path) -> Path:
    """Returns the path of the marker file of the registry in `file`."""
    return _beside(file, _MADE)


def mark(file: Path) -> None:
    """Writes the marker of the registry in `file`. Where nothing can be written beside it, there is none."""
    marker = marker_of(file)
    try:
        if not marker.exists():
            marker.touch(mode=0o600)
            sync_folder(file.parent)
    except OSError:
        return


def lost(file: Path, sign: Path, finding: str) -> RegistryError:
    """Makes the error for a registry in `file` that is gone.

    `sign`: the file that shows that there was one; `finding`: what is there now, in words.
    """
    return RegistryError(
        f"The registry {file} was there before ({_told(file, sign)}), and {finding} now.",
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
