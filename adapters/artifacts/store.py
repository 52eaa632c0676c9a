"""The content-addressed store of files over fsspec: a folder, S3, or any other file system that it knows.

A file lies under its own SHA-256. So it is never written again once it is there, two revisions that share a file share
its place, and a reader can tell by itself whether the bytes are right.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Self

import fsspec
from fsspec.implementations.local import LocalFileSystem

from patchbay.adapters.config import ArtifactsConfig
from patchbay.core.disk import sync
from patchbay.core.distribution import install_command
from patchbay.core.errors import ArtifactError, ConfigError
from patchbay.registry.records import FileRecord

_BLOCK = 1024 * 1024
_TRIES = 4
_FIRST_PAUSE_S = 0.2
_STALE_PART_S = 24 * 3600.0
Progress = Callable[[int], None]


class ArtifactStore:
    """Stores files by their SHA-256 below `root` of the fsspec file system `files`. Blocks.

    `shown`: its URL, for messages; `sleep`: waits between tries, in seconds.
    """

    def __init__(self, files: Any, root: str, shown: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self._shown = shown
        self._sleep = sleep

    @classmethod
    def open(cls, config: ArtifactsConfig, *, sleep: Callable[[float], None] = time.sleep) -> Self:
        """Opens the store that `config` describes. Raises ConfigError where nothing can be made of its URL."""
        try:
            files, root = fsspec.core.url_to_fs(config.url, **config.options)
        except (ImportError, ValueError, TypeError) as error:
            raise ConfigError(
                f"registry.artifacts.url: {config.url} cannot be opened: {error}",
                hint=f"For s3://: {install_command('s3')}.",
            ) from error
        return cls(files, root, config.url, sleep=sleep)

    def put(self, path: Path, sha256: str) -> bool:
        """Stores the file at `path`, whose SHA-256 is given. Returns whether the store did not have it before.

        It appears under its name whole or not at all. Raises ArtifactError, also where its bytes are others by now.
        """
        target = self._place(sha256)
        with self._translated(f"{path} cannot be stored"):
            if self._files.exists(target):
                return False
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            if isinstance(self._files, LocalFileSystem):
                _put_local(path, Path(target), sha256)
            else:
                self._upload(path, target, sha256)
        return True

    @property
    def local(self) -> Path | None:
        """The folder of the store, None where it is none of this machine's."""
        return Path(self._root) if isinstance(self._files, LocalFileSystem) else None

    def has(self, sha256: str) -> bool:
        """Whether the store has the file."""
        with self._translated("the store cannot be read"):
            return bool(self._files.exists(self._place(sha256)))

    def fetch(self, files: Sequence[FileRecord], folder: Path, *, progress: Progress | None = None) -> None:
        """Makes `folder` hold `files`, every byte verified. What it already holds of them stays.

        A file that was cut off is continued where it ended. `progress`: called with the number of bytes of each block.
        Raises ArtifactError where a file is missing, or is not what its name says.
        """
        for file in files:
            target = folder / _safe(file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                self._fetch(file, target, progress or (lambda count: None))

    def verify(self, sha256: str) -> bool:
        """Whether the stored bytes have this SHA-256. Raises ArtifactError where they cannot be read."""
        digest = hashlib.sha256()
        with self._translated(f"{sha256[:12]} cannot be read"), self._files.open(self._place(sha256), "rb") as reader:
            for block in iter(lambda: reader.read(_BLOCK), b""):
                digest.update(block)
        return digest.hexdigest() == sha256

    def hashes(self) -> Iterator[tuple[str, float]]:
        """Lists every file in the store with the time at which it came, Unix seconds."""
        with self._translated("the store cannot be listed"):
            found = self._files.find(f"{self._root}/sha256", detail=True)
        for name, info in found.items():
            sha256 = name.rpartition("/")[2]
            if len(sha256) == 64:
                yield sha256, _modified(info)

    def remove(self, sha256: str) -> None:
        """Removes a file; one that is not there is fine. Raises ArtifactError."""
        with self._translated(f"{sha256[:12]} cannot be removed"):
            if self._files.exists(self._place(sha256)):
                self._files.rm_file(self._place(sha256))

    def remove_leftovers(self, now: float) -> int:
        """Removes what killed writers left, once it is a day old at `now`, Unix seconds.

        Returns how many files it removed.
        """
        with self._translated("the store cannot be listed"):
            found = self._files.find(f"{self._root}/sha256", detail=True)
            stale = [name for name, info in found.items() if ".part-" in name and now - _modified(info) > _STALE_PART_S]
            for name in stale:
                self._files.rm_file(name)
        return len(stale)

    def _upload(self, path: Path, target: str, sha256: str) -> None:
        """Uploads a file to an object store, which shows an object only when its upload is complete.

        The bytes are hashed as they go, and an upload whose hash is wrong is given up before that.
        """
        writer = self._files.open(target, "wb")
        try:
            with path.open("rb") as reader:
                digest = _copy(reader, writer)
            if digest != sha256:
                raise ArtifactError(f"{path} changed while it was stored.", hint="Push it again when it is complete.")
        except BaseException:
            writer.discard()
            # Or it would be closed, and so completed, when it is collected.
            writer.closed = True
            raise
        writer.close()

    def _fetch(self, file: FileRecord, target: Path, progress: Progress) -> None:
        part = target.with_name(f".{target.name}.part")
        for attempt in range(1, _TRIES + 1):
            try:
                with self._translated(f"{file.name} ({file.sha256[:12]}) cannot be fetched"):
                    self._download(file, part, progress)
            except ArtifactError:
                if attempt == _TRIES or not self._is_worth_another_try(file):
                    raise
                self._sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
                continue
            if _hash(part) == file.sha256:
                part.rename(target)
                return
            # The bytes so far are wrong, and continuing from them would never give the right hash.
            part.unlink()
        raise ArtifactError(
            f"{file.name} in the store {self._shown} is not what it was: its SHA-256 is no longer {file.sha256[:12]}….",
            hint="Push the adapter again: 'patchbay adapters verify' tells which files are damaged.",
        )

    def _download(self, file: FileRecord, part: Path, progress: Progress) -> None:
        present = part.stat().st_size if part.exists() else 0
        if present > file.size:
            part.unlink()
            present = 0
        with self._files.open(self._place(file.sha256), "rb") as reader, part.open("ab") as writer:
            reader.seek(present)
            # One more than is due, so that a file that is too long is noticed, and not just cut.
            left = file.size - present + 1
            while left > 0 and (block := reader.read(min(_BLOCK, left))):
                writer.write(block)
                left -= len(block)
                progress(len(block))
            writer.flush()
            os.fsync(writer.fileno())
        if left > 1:
            raise ArtifactError(f"{file.name} in the store {self._shown} is cut short.")

    def _is_worth_another_try(self, file: FileRecord) -> bool:
        try:
            return self.has(file.sha256)
        except ArtifactError:
            return True

    def _place(self, sha256: str) -> str:
        return f"{self._root}/sha256/{sha256[:2]}/{sha256}"

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """The seam where file systems' errors become ours. Each has its own; all that network ones raise is an OSError
        or comes from its client library, which has no common base."""
        try:
            yield
        except ArtifactError:
            raise
        except FileNotFoundError as error:
            raise ArtifactError(f"{what}: the store {self._shown} does not have it.") from error
        except OSError as error:
            raise ArtifactError(f"{what}: {self._shown}: {error.strerror or error}.") from error
        except Exception as error:
            if not _is_foreign(error):
                raise
            raise ArtifactError(f"{what}: {self._shown}: {_first_line(error)}") from error


def _put_local(path: Path, target: Path, sha256: str) -> None:
    part = target.with_name(f"{target.name}.part-{uuid.uuid4().hex}")
    try:
        with path.open("rb") as reader, part.open("xb") as writer:
            digest = _copy(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
        if digest != sha256:
            raise ArtifactError(f"{path} changed while it was stored.", hint="Push it again when it is complete.")
        part.rename(target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _copy(reader: BinaryIO, writer: Any) -> str:
    digest = hashlib.sha256()
    for block in iter(lambda: reader.read(_BLOCK), b""):
        digest.update(block)
        writer.write(block)
    return digest.hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _safe(name: str) -> PurePosixPath:
    """`name` as a path that stays below where it is put. Raises ArtifactError where it would not."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise ArtifactError(f"'{name[:100]}' is no name for an adapter's file.")
    return path


def _modified(info: dict[str, Any]) -> float:
    for key in ("mtime", "LastModified", "last_modified", "created"):
        value = info.get(key)
        if value is not None:
            return float(value.timestamp() if hasattr(value, "timestamp") else value)
    return time.time()


def _is_foreign(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
