"""The admin token: the secret that opens the admin port of this user's routers where none is configured.

It is made once, in the user directory, and every router and command of the user reads it there. It is put in place
whole and never replaced, so processes that start at the same time agree on it.
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
from patchbay.core.paths import data_dir, make_private

VARIABLE = "PATCHBAY_ADMIN_TOKEN"
_NAME = "admin-token"
_FORM = re.compile(r"[A-Za-z0-9_-]{16,256}")


def token_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the path of the token's file: `admin-token` in the user directory."""
    return data_dir(environ) / _NAME


def own_token(path: Path) -> str:
    """Reads the token in the file at `path`, and makes the file, readable by its owner only, where it is missing.

    Raises ConfigError where the file can neither be read nor made, holds no token, or can be read by others.
    """
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(1024).decode("ascii", errors="replace").strip()
    except OSError as error:
        hint = "Set admin_token in the configuration, or PATCHBAY_DATA_DIR to a folder that can be written."
        raise ConfigError(f"The admin token cannot be kept in {path}: {error.strerror}.", hint=hint) from error
    hint = "Remove the file: the next start makes a new token."
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"The admin token in {path} can be read by others on this machine.", hint=hint)
    if not _FORM.fullmatch(token):
        raise ConfigError(f"{path} holds no admin token.", hint=hint)
    return token


def shown_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """Returns the token that a command shows to an admin port.

    It is `PATCHBAY_ADMIN_TOKEN`, else the one in the user directory, None where there is neither. Raises ConfigError
    where that file cannot be used.
    """
    if token := environ.get(VARIABLE):
        return token
    path = token_path(environ)
    return own_token(path) if path.exists() else None


def admin_headers(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the headers that open this user's admin port; none where no token is known. Raises ConfigError."""
    token = shown_token(environ)
    return {} if token is None else {"authorization": f"Bearer {token}"}


def token_url(admin_url: str, token: str) -> str:
    """Returns the admin port's address for a browser, with the token in it."""
    return f"{admin_url}/?token={token}"


def _make(path: Path) -> None:
    """Puts a new token at `path`, unless another process was faster."""
    make_private(path.parent)
    # Only its owner can read mkstemp's file. A link fails where there is a token already, and never shows half of one.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{_NAME}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
