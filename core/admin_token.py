"""The admin token is the secret that opens the admin port of this user's routers where none is configured.

It is made once, in the data directory, and every router and command of the user reads it there. It is put in place
whole and never replaced, so those that start at the same time agree on it.
"""

import contextlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from patchbay.core.errors import ConfigError
from patchbay.core.paths import data_dir

VARIABLE = "PATCHBAY_ADMIN_TOKEN"
_NAME = "admin-token"
_FORM = re.compile(r"[A-Za-z0-9_-]{16,256}")


def token_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that holds the token: `admin-token` in the data directory."""
    return data_dir(environ) / _NAME


def own_token(path: Path) -> str:
    """The token in the file at `path`, which is made, readable by its owner only, where it is not there.

    Raises ConfigError where it can neither be read nor made, where it holds no token, and where others can read it.
    """
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            told = file.read(1024).decode("ascii", errors="replace").strip()
    except OSError as error:
        hint = "Set admin_token in the configuration, or PATCHBAY_DATA_DIR to a folder that can be written."
        raise ConfigError(f"The admin token cannot be kept in {path}: {error.strerror}.", hint=hint) from error
    again = "Remove the file: the next start makes a new token."
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"The admin token in {path} can be read by others on this machine.", hint=again)
    if not _FORM.fullmatch(told):
        raise ConfigError(f"{path} holds no admin token.", hint=again)
    return told


def shown_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """The token that a command shows an admin port: `PATCHBAY_ADMIN_TOKEN`, else the one in the data directory, None
    where there is neither. Raises ConfigError where that file cannot be used."""
    if told := environ.get(VARIABLE):
        return told
    path = token_path(environ)
    return own_token(path) if path.exists() else None


def admin_headers(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The headers that open this user's admin port; none where no token is known. Raises ConfigError."""
    token = shown_token(environ)
    return {} if token is None else {"authorization": f"Bearer {token}"}


def token_url(admin_url: str, token: str) -> str:
    """The admin port's address for a browser, with the token in it."""
    return f"{admin_url}/?token={token}"


def _make(path: Path) -> None:
    """Puts a new token at `path`, unless another process was faster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp's file is its owner's alone; linking fails where there is a token already, and never shows half of one.
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{_NAME}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        Path(made).unlink()
