"""A scanner on Hyperscan, in block mode: its stream objects have reference-count bugs.

What it compiles is kept on disk, by the hash of all that it is made from: compiling takes seconds, loading a
millisecond.

Source: https://intel.github.io/hyperscan/dev-reference/
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Collection, Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import hyperscan as hs

from patchbay.core.errors import ConfigError
from patchbay.guards.scan.scanner import Expression

# What is compiled to bytes here depends on this code too: another number, and all is compiled anew.
_FORMAT = b"1"


class _Scratches(threading.local):
    """A thread's own: two scans must not use one at a time, and Python's lock is given up while one goes on."""

    def __init__(self, forward: hs.Database, backward: hs.Database) -> None:
        self.forward = hs.Scratch(forward)
        self.backward = hs.Scratch(backward)


class HyperscanScanner:
    """Made by `load`. Threads can share it."""

    def __init__(self, forward: hs.Database, backward: hs.Database) -> None:
        self._forward = forward
        self._backward = backward
        self._scratches = _Scratches(forward, backward)

    def hits(self, text: str) -> Collection[int]:
        """As `Scanner` says."""
        found: set[int] = set()

        def note(number: int, start: int, end: int, flags: int, context: object) -> None:
            found.add(number)

        self._forward.scan(text.encode("utf-8", "replace"), match_event_handler=note, scratch=self._scratches.forward)
        return found

    def live(self, backwards: str) -> int:
        """As `Scanner` says."""
        longest = 0

        def note(number: int, start: int, end: int, flags: int, context: object) -> None:
            nonlocal longest
            longest = max(longest, end)

        data = backwards.encode("utf-8", "replace")
        self._backward.scan(data, match_event_handler=note, scratch=self._scratches.backward)
        return longest if len(data) == len(backwards) else len(data[:longest].decode())


def load(expressions: Sequence[Expression], folder: Path | None) -> HyperscanScanner:
    """The scanner of `expressions`, from `folder` where it was compiled before, and kept there otherwise. Raises
    ConfigError where Hyperscan takes one of them not."""
    ahead = [(each.forward, number, _flags(each) | hs.HS_FLAG_SINGLEMATCH) for number, each in enumerate(expressions)]
    back = [(f"^(?:{one})", 0, _flags(each)) for each in expressions for one in each.backward]
    return HyperscanScanner(_database(ahead, folder), _database(back, folder))


def _flags(expression: Expression) -> int:
    flags = int(hs.HS_FLAG_UTF8)
    return flags | int(hs.HS_FLAG_CASELESS) if expression.caseless else flags


def _database(entries: Sequence[tuple[str, int, int]], folder: Path | None) -> hs.Database:
    file = folder / f"{_name(entries)}.hs" if folder is not None else None
    if file is not None and file.exists():
        # A file that another version wrote, or that is cut short, is made anew.
        with contextlib.suppress(hs.error, OSError, ValueError):
            database = hs.loadb(file.read_bytes(), mode=hs.HS_MODE_BLOCK)
            hs.Scratch(database)
            return database
    database = hs.Database(mode=hs.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[text.encode() for text, _, _ in entries],
            ids=[number for _, number, _ in entries],
            flags=[flags for _, _, flags in entries],
        )
    except hs.error as error:
        raise ConfigError(f"The guards' rules could not be compiled: {error}.") from error
    if file is not None:
        _keep(file, hs.dumpb(database))
    return database


def _name(entries: Sequence[tuple[str, int, int]]) -> str:
    mark = blake2b(_FORMAT + version("hyperscan").encode())
    for entry in entries:
        mark.update(repr(entry).encode())
    return mark.hexdigest()[:32]


def _keep(file: Path, data: bytes) -> None:
    """Written aside and renamed, so that it is never half there. Where it cannot be kept, it is compiled each time."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, aside = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(aside).replace(file)
