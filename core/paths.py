"""The folders in which Patchbay keeps its files on this machine."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PROJECT_FOLDER: Final = ".patchbay"
VARIABLE: Final = "PATCHBAY_DATA_DIR"


def project_dir(folder: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the project directory of what is in `folder`, which has its registry and artifacts: `.patchbay` there, or
    `PATCHBAY_DATA_DIR`."""
    if chosen := environ.get(VARIABLE):
        return Path(chosen).expanduser()
    return folder.absolute() / PROJECT_FOLDER


def data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the user directory, for what belongs to no project: the admin token, the demo's models.

    It is `PATCHBAY_DATA_DIR`, else `patchbay` under the XDG data home. Source: XDG Base Directory Specification 0.8.
    """
    if chosen := environ.get(VARIABLE):
        return Path(chosen).expanduser()
    home = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "patchbay"


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder for files that can be made anew: `patchbay` under the XDG cache home. Source: as above."""
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "patchbay"


def make_private(folder: Path) -> None:
    """Makes `folder`, which only its owner may enter. A project's own keeps itself out of git. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.name == PROJECT_FOLDER:
        with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="ascii") as file:
            file.write("# State of this project, made by patchbay.\n*\n")
