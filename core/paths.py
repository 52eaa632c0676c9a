"""The folders in which Patchbay keeps its files on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path


def data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the data directory: `PATCHBAY_DATA_DIR`, else `patchbay` under the XDG data home.

    Source: XDG Base Directory Specification 0.8.
    """
    if chosen := environ.get("PATCHBAY_DATA_DIR"):
        return Path(chosen).expanduser()
    home = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "patchbay"


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder for files that can be made anew: `patchbay` under the XDG cache home. Source: as above."""
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "patchbay"
