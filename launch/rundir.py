"""The private folder of one run, for configurations with tokens in them, which must not be on a command line."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from patchbay.core.errors import StartError
from patchbay.core.yaml_text import yaml_text

_PREFIX: Final = "run-"
_LOCK: Final = "lock"


@contextmanager
def run_directory(parent: Path) -> Iterator[Path]:
    """Makes a fresh folder below `parent` that only this user may enter, and removes it at the end.

    Folders of killed runs, which could not remove them, are removed, too. Raises StartError where nothing can be
    written there.
    """
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = _locked(folder / _LOCK)
    except OSError as error:
        hint = "Set PATCHBAY_DATA_DIR to a folder that can be written to."
        raise StartError(f"Cannot write to {parent}: {error.strerror}.", hint=hint) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def write_settings(settings: BaseModel, path: Path) -> Path:
    """Writes `settings`, secrets and all, to the new file `path`, which only this user may read, and returns `path`.

    `patchbay.core.settings.load_yaml` and the same model read it back as it was.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(yaml_text(_revealed(settings.model_dump(mode="python", by_alias=True))))
    return path


def _revealed(value: Any) -> Any:
    """Converts `value` to YAML's own types, with secrets in plain text."""
    match value:
        case dict():
            return {_revealed(key): _revealed(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_revealed(entry) for entry in value]
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value)
        case _:
            return value


def _locked(path: Path) -> int:
    """Opens and locks the file `path` for as long as this process lives, and returns its descriptor.

    Children do not inherit it. Raises OSError where another process has the lock.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):
            # A lock that can be taken belonged to a process that is dead.
            os.close(_locked(lock))
            shutil.rmtree(lock.parent, ignore_errors=True)
