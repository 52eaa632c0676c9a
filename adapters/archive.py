"""The unpacking of untrusted archives: regular files only, below one folder, within limits.

The limits are counted while reading, and not believed from a header.
"""

import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.digest import is_left_out
from patchbay.core.errors import AdapterError

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_BLOCK = 256 * 1024
# Separators of other systems, drives, and what ends a name early.
_ODD = re.compile(r"[\\:\0]")
# LoRA weights hardly compress; a JSON file of blanks may well do so a hundredfold, but not by much more.
_MAX_RATIO = 1000
_RATIO_FROM_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class _Member:
    """A regular file in an archive."""

    name: str
    size: int


def is_archive(name: str) -> bool:
    """Whether a file called `name` is an archive that can be unpacked."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, limits: FolderLimits) -> Path:
    """Unpacks `archive` into the new folder `folder`, and returns that, or the one folder at the archive's top.

    Raises AdapterError, naming the member, for a link, a device, a name that leads elsewhere or comes twice, for more
    files or bytes than `limits` allow, and for an archive that is damaged.
    """
    with because("archive"), _translated(archive):
        folder.mkdir(parents=True)
        budget = _Budget(archive, limits)
        if archive.name.lower().endswith(".zip"):
            _unpack_zip(archive, folder, budget)
        else:
            _unpack_tar(archive, folder, budget)
    return _content_root(folder)


class _Budget:
    """The budget of one unpacking: members, files and bytes that may still be written, and the names that have been."""

    def __init__(self, archive: Path, limits: FolderLimits) -> None:
        self._archive = archive
        self._limits = limits
        self._packed = archive.stat().st_size
        self._names: set[str] = set()
        self._members = 0
        self._bytes = 0

    def member(self) -> None:
        """Counts a member, of whatever kind."""
        self._members += 1
        if self._members > 4 * self._limits.files:
            raise AdapterError(f"{self._archive} holds more than {4 * self._limits.files} members.")

    def place(self, name: str, folder: Path) -> Path | None:
        """Returns the place of the member called `name`; None for what is no part of an adapter."""
        path = PurePosixPath(name.replace("\\", "/"))
        text = shown(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or re.search(_ODD, name):
            raise AdapterError(f"{self._archive}: the member {text} leads out of the folder.", hint="Pack it anew.")
        if any(is_left_out(part) for part in path.parts):
            return None
        if str(path).casefold() in self._names:
            raise AdapterError(f"{self._archive}: the member {text} comes twice.", hint="Pack it anew.")
        self._names.add(str(path).casefold())
        if len(self._names) > self._limits.files:
            raise AdapterError(f"{self._archive} holds more than {self._limits.files} files.")
        return folder / path

    def take(self, name: str, count: int) -> None:
        """Counts `count` bytes of a member."""
        self._bytes += count
        if self._bytes > self._limits.folder_bytes:
            raise AdapterError(
                f"{self._archive} holds more than {self._limits.folder_bytes} bytes at {shown(name)}.",
                hint="Pack only the adapter's own files.",
            )
        if self._bytes > _RATIO_FROM_BYTES and self._bytes > _MAX_RATIO * self._packed:
            raise AdapterError(f"{self._archive}: {shown(name)} unpacks to over {_MAX_RATIO} times its size.")


def _unpack_tar(archive: Path, folder: Path, budget: _Budget) -> None:
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            budget.member()
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                kind = "link" if member.issym() or member.islnk() else "special file"
                raise AdapterError(
                    f"{archive}: the member {shown(member.name)} is a {kind}.", hint="Pack the files themselves."
                )
            reader = tar.extractfile(member)
            if reader is not None:
                _write(reader, _Member(member.name, member.size), folder, budget)


def _unpack_zip(archive: Path, folder: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            budget.member()
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
                raise AdapterError(
                    f"{archive}: the member {shown(info.filename)} is no regular file.",
                    hint="Pack the files themselves.",
                )
            if info.flag_bits & 0x1:
                raise AdapterError(f"{archive}: the member {shown(info.filename)} is encrypted.")
            with packed.open(info) as reader:
                _write(reader, _Member(info.filename, info.file_size), folder, budget)


def _write(reader: IO[bytes], member: _Member, folder: Path, budget: _Budget) -> None:
    target = budget.place(member.name, folder)
    if target is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as writer:
        while block := reader.read(_BLOCK):
            written += len(block)
            budget.take(member.name, len(block))
            writer.write(block)
    if written != member.size:
        raise AdapterError(f"{shown(member.name)} is cut short: {written} of {member.size} bytes.")


def _content_root(folder: Path) -> Path:
    found = list(folder.iterdir())
    return found[0] if len(found) == 1 and found[0].is_dir() else folder


@contextmanager
def _translated(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise AdapterError(f"{archive} is no sound archive: {error}.", hint="Pack it anew.") from error
    except (RuntimeError, OverflowError, MemoryError, UnicodeError, IndexError, KeyError, TypeError) as error:
        raise AdapterError(f"{archive} is no sound archive: {type(error).__name__}.", hint="Pack it anew.") from error
    except OSError as error:
        raise AdapterError(f"{archive} cannot be unpacked: {error.strerror or error}.") from error
