"""The unpacking of untrusted archives: an adapter's own files only, into one folder, within limits.

An archive is read twice: first the names, by which its adapter is found, then the adapter's files. What is no part of
it is never written, whatever it is. Limits are counted while writing, and not believed from a header.
"""

import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.contents import Contents, contents_of
from patchbay.core.errors import AdapterError

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_BLOCK = 256 * 1024
# Separators of other systems, drives, and what ends a name early.
_ODD = re.compile(r"[\\:\0]")
# LoRA weights hardly compress; a JSON file of blanks may well do so a hundredfold, but not by much more.
_MAX_RATIO = 1000
_RATIO_FROM_BYTES = 16 * 1024**2
# For each file that an adapter may have: trainers leave many beside them.
_MEMBERS_PER_FILE = 64


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an archive. `fault`: why it cannot be unpacked, "" for a regular file."""

    name: str
    size: int
    fault: str = ""


# A member, and what opens it, which works until the next one is asked for.
_Opened = tuple[_Member, Callable[[], IO[bytes] | None]]


def is_archive(name: str) -> bool:
    """Whether a file called `name` is an archive that can be unpacked."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, limits: FolderLimits, pick: str | None = None) -> Contents:
    """Unpacks the adapter's own files in `archive` into the new folder `folder`, and returns what the archive holds.

    `pick`: the folder in the archive that the adapter is in, where there are several. Raises AdapterError, naming the
    member, for one of those files that is a link or a device or comes twice, for any name that leads elsewhere, for
    more files or bytes than `limits` allow, and for an archive that is damaged.
    """
    with because("archive"), _translated(archive):
        budget = _Budget(archive, limits)
        names = [budget.counted(member) for member, _ in _members(archive)]
        found = contents_of((name for name in names if name), archive.name, pick=pick)
        folder.mkdir(parents=True)
        wanted = {str(PurePosixPath(found.root, name)): folder / name for name in found.own}
        for member, opened in _members(archive):
            name = budget.place(member)
            if target := wanted.get(name):
                budget.begin(member, target)
                _write(opened(), member, target, budget)
    return found


class _Budget:
    """The budget of one unpacking: members, files and bytes that may still be read and written."""

    def __init__(self, archive: Path, limits: FolderLimits) -> None:
        self._archive = archive
        self._limits = limits
        self._packed = archive.stat().st_size
        self._members = 0
        self._read = 0
        self._written: set[str] = set()
        self._bytes = 0

    def counted(self, member: _Member) -> str:
        """Counts a member, of whatever kind, and returns its place. Raises AdapterError."""
        self._members += 1
        if self._members > _MEMBERS_PER_FILE * self._limits.files:
            raise AdapterError(f"{self._archive} holds more than {_MEMBERS_PER_FILE * self._limits.files} members.")
        self._read += member.size
        self._check_ratio(self._read, member.name)
        return self.place(member)

    def place(self, member: _Member) -> str:
        """Returns the place of the member below the archive's top. Raises AdapterError where it leads out of it."""
        name = member.name
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.search(_ODD, name):
            raise AdapterError(
                f"{self._archive}: the member {shown(name)} leads out of the folder.", hint="Pack it anew."
            )
        return "" if not path.parts else f"{path}/" if name.endswith("/") else str(path)

    def begin(self, member: _Member, target: Path) -> None:
        """Counts a file that is to be written. Raises AdapterError where it was written before, or is no file."""
        if member.fault:
            raise AdapterError(
                f"{self._archive}: the member {shown(member.name)} is {member.fault}.",
                hint="Pack the files themselves.",
            )
        if target.name.casefold() in self._written:
            raise AdapterError(f"{self._archive}: the member {shown(member.name)} comes twice.", hint="Pack it anew.")
        self._written.add(target.name.casefold())
        if len(self._written) > self._limits.files:
            raise AdapterError(f"{self._archive} holds more than {self._limits.files} files.")

    def take(self, name: str, count: int) -> None:
        """Counts `count` bytes of a member that are written."""
        self._bytes += count
        if self._bytes > self._limits.folder_bytes:
            raise AdapterError(
                f"{self._archive} holds more than {self._limits.folder_bytes} bytes at {shown(name)}.",
                hint="Pack only the adapter's own files.",
            )
        self._check_ratio(self._bytes, name)

    def _check_ratio(self, count: int, name: str) -> None:
        if count > _RATIO_FROM_BYTES and count > _MAX_RATIO * self._packed:
            raise AdapterError(f"{self._archive}: {shown(name)} unpacks to over {_MAX_RATIO} times its size.")


def _members(archive: Path) -> Iterator[_Opened]:
    """Lists the members of `archive` but for folders."""
    return _zip_members(archive) if archive.name.lower().endswith(".zip") else _tar_members(archive)


def _tar_members(archive: Path) -> Iterator[_Opened]:
    with tarfile.open(archive, "r|*") as tar:
        for info in tar:
            fault = "a link" if info.issym() or info.islnk() else "a special file"
            is_file = info.isreg() and not info.issparse()
            name = f"{info.name}/" if info.isdir() else info.name
            yield _Member(name, info.size, "" if is_file else fault), partial(tar.extractfile, info)


def _zip_members(archive: Path) -> Iterator[_Opened]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            mode = info.external_attr >> 16
            fault = "no regular file" if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode) else ""
            fault = fault or ("encrypted" if info.flag_bits & 0x1 else "")
            yield _Member(info.filename, info.file_size, fault), partial(packed.open, info)


def _write(reader: IO[bytes] | None, member: _Member, target: Path, budget: _Budget) -> None:
    if reader is None:
        return
    written = 0
    with reader, target.open("xb") as writer:
        while block := reader.read(_BLOCK):
            written += len(block)
            budget.take(member.name, len(block))
            writer.write(block)
    if written != member.size:
        raise AdapterError(f"{shown(member.name)} is cut short: {written} of {member.size} bytes.")


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
