"""The sources that fsspec knows: `s3://`, `https://` and the like, a folder or an archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.callbacks import Callback

from patchbay.adapters.archive import is_archive
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.digest import is_left_out
from patchbay.adapters.sources.authority import shown_source
from patchbay.core.errors import SourceError

_FOREIGN = ("aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")


class _Budget(Callback):  # type: ignore[misc]  # fsspec has no types
    """The budget of one file: counts its bytes as they come, and gives it up where there are more than `limit`."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__()
        self._name = name
        self._limit = limit
        self._taken = 0

    def relative_update(self, inc: int = 1) -> None:
        """Counts `inc` bytes. Raises SourceError."""
        self.check(self._taken + inc)

    def check(self, taken: int) -> None:
        """Raises SourceError where `taken` is more than the limit."""
        self._taken = taken
        if taken > self._limit:
            last = self._name.rpartition("/")[2][:100]
            raise SourceError(f"it holds more bytes than the limits allow, at {last}")


def fetch_remote(source: str, limits: FolderLimits, workdir: Path) -> Path:
    """Copies the archive or the folder at `source` into `workdir`. Raises SourceError."""
    with _translated(shown_source(source)):
        files, root = fsspec.core.url_to_fs(source)
        if is_archive(root.partition("?")[0]):
            target = workdir / PurePosixPath(root.partition("?")[0]).name
            _copy(files, root, target, limits.folder_bytes)
            return target
        return _copy_folder(files, root, limits, workdir / "folder")


def _copy_folder(files: Any, root: str, limits: FolderLimits, target: Path) -> Path:
    found = sorted(name for name, info in files.find(root, detail=True).items() if info["type"] == "file")
    names = {name: PurePosixPath(name).relative_to(root.rstrip("/")) for name in found}
    kept = {name: path for name, path in names.items() if not any(is_left_out(part) for part in path.parts)}
    if not kept:
        raise SourceError("there is nothing there")
    if len(kept) > limits.files:
        raise SourceError(f"it holds more than {limits.files} files")
    left = limits.folder_bytes
    for name, path in kept.items():
        if ".." in path.parts:
            raise SourceError(f"the name {str(path)[:100]!r} leads out of the folder")
        left -= _copy(files, name, target / path, left)
    return target


def _copy(files: Any, name: str, target: Path, limit: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    budget = _Budget(name, limit)
    files.get_file(name, str(target), callback=budget)
    written = target.stat().st_size
    budget.check(written)
    return written


@contextmanager
def _translated(source: str) -> Iterator[None]:
    """The seam where file systems' errors become ours; their client libraries' errors have no common base."""
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{source} cannot be fetched: {error.message}.", hint="Check the URL.") from error
    except FileNotFoundError as error:
        raise SourceError(f"{source} cannot be fetched: there is nothing there.", hint="Check the URL.") from error
    except (OSError, ImportError, ValueError) as error:
        raise SourceError(f"{source} cannot be fetched: {error}.", hint="Check the URL.") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _FOREIGN:
            raise
        raise SourceError(f"{source} cannot be fetched: {error}.", hint="Check the URL.") from error
