"""The writing of files that are whole or not there at all."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from patchbay.core.errors import DataError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Opens a text file that takes the place of `path` when the block ends well. Raises DataError."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Writes `text` as the file `path`. Raises DataError."""
    with whole_file(path) as file:
        file.write(text)
