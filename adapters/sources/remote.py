"""The sources that fsspec knows: `s3://`, `https://` and the like, a folder or an archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.callbacks import Callback

from patchbay.adapters.archive import is_archive
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.contents import contents_of
from patchbay.adapters.sources.authority import shown_source
from patchbay.adapters.sources.place import Fetched
from patchbay.core.errors import AdapterError, SourceError

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


def fetch_remote(source: str, limits: FolderLimits, workdir: Path, pick: str | None) -> Fetched:
    """Copies the archive, or the adapter in the folder, at `source` into `workdir`.

    `pick`: the folder below that the adapter is in. Raises SourceError, and AdapterError where there is none.
    """
    with _translated(shown_source(source)):
        files, root = fsspec.core.url_to_fs(source)
        if is_archive(root.partition("?")[0]):
            target = workdir / PurePosixPath(root.partition("?")[0]).name
            _copy(files, root, target, limits.folder_bytes)
            return Fetched(target, pick)
        return _copy_folder(files, root, limits, (workdir / "folder", pick))


def _copy_folder(files: Any, root: str, limits: FolderLimits, wanted: tuple[Path, str | None]) -> Fetched:
    """Copies the adapter's own files below `root`. `wanted`: where to, and which folder of them is picked."""
    target, pick = wanted
    found = sorted(name for name, info in files.find(root, detail=True).items() if info["type"] == "file")
    names = {str(PurePosixPath(name).relative_to(root.rstrip("/"))): name for name in found}
    if not names:
        raise SourceError("there is nothing there")
    contents = contents_of(names, PurePosixPath(root).name, pick=pick)
    if len(contents.own) > limits.files:
        raise SourceError(f"it holds more than {limits.files} files")
    left = limits.folder_bytes
    for own in contents.own:
        left -= _copy(files, names[str(PurePosixPath(contents.root, own))], target / own, left)
    return Fetched(target, None, contents.left_out)


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
    except AdapterError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{source} cannot be fetched: there is nothing there.", hint="Check the URL.") from error
    except (OSError, ImportError, ValueError) as error:
        raise SourceError(f"{source} cannot be fetched: {error}.", hint="Check the URL.") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _FOREIGN:
            raise
        raise SourceError(f"{source} cannot be fetched: {error}.", hint="Check the URL.") from error
