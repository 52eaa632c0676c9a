"""Hyperscan scanner, in block mode, as Hyperscan's stream objects have reference-count bugs in Python.

Compiled databases are kept on disk, by the hash of all that they are made from: compiling takes seconds, loading a
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
from patchbay.guards.scan.scanner import Expression, longest_run, run_at

# The compiled bytes depend on this code too: another number here has all of them compiled again.
_FORMAT = b"1"


class _Scratches(threading.local):
    """The scratch memory of each thread. Two scans must not share one, and Python's lock is released during a scan."""

    def __init__(self, *, forward: hs.Database, backward: hs.Database | None) -> None:
        self.forward = hs.Scratch(forward)
        self.backward = hs.Scratch(backward) if backward is not None else None


class HyperscanScanner:
    """A `Scanner` on Hyperscan, made by `load`. Threads can share it. `numbers`: the rules that have an expression, by
    the number of the expression; `run`: the longest run of characters of tokens that may become a match."""

    def __init__(
        self, *, forward: hs.Database, backward: hs.Database | None, numbers: Sequence[Sequence[int]], run: int
    ) -> None:
        self._forward = forward
        self._backward = backward
        self._numbers = numbers
        self._run = run
        self._scratches = _Scratches(forward=forward, backward=backward)

    def hits(self, text: str) -> Collection[int]:
        """Returns the rules that match; see `Scanner`."""
        numbers: set[int] = set()

        def note(number: int, start: int, end: int, flags: int, context: object) -> None:
            numbers.update(self._numbers[number])

        self._forward.scan(text.encode("utf-8", "replace"), match_event_handler=note, scratch=self._scratches.forward)
        return numbers

    def live(self, backwards: str) -> int:
        """Returns the length of the end that may become a match; see `Scanner`."""
        run = longest = run_at(backwards, self._run)
        if run == len(backwards) or self._backward is None:
            return run

        def note(number: int, start: int, end: int, flags: int, context: object) -> None:
            nonlocal longest
            if end > longest:  # noqa: PLR1730 - it runs several times for every chunk
                longest = end

        data = backwards.encode("utf-8", "replace")
        self._backward.scan(data, match_event_handler=note, scratch=self._scratches.backward)
        # Hyperscan counts bytes, and its callers count characters. A run is of ASCII.
        return longest if len(data) == len(backwards) else len(data[:longest].decode())


def load(expressions: Sequence[Expression], folder: Path | None) -> HyperscanScanner:
    """Loads the scanner of `expressions` from `folder`, or compiles it and keeps it there.

    `folder`: None to keep nothing. Raises ConfigError for an expression that Hyperscan does not take.
    """
    # Rules for bare numbers share their patterns, and each costs by itself.
    alike: dict[tuple[str, int], list[int]] = {}
    for number, expression in enumerate(expressions):
        alike.setdefault((expression.forward, _flags(expression) | hs.HS_FLAG_SINGLEMATCH), []).append(number)
    forward = [(text, number, flags) for number, (text, flags) in enumerate(alike)]
    backward = dict.fromkeys(
        (f"^(?:{prefixes})", 0, _flags(expression)) for expression in expressions for prefixes in expression.backward
    )
    return HyperscanScanner(
        forward=_database(forward, folder),
        backward=_database([*backward], folder) if backward else None,
        numbers=list(alike.values()),
        run=longest_run(expressions),
    )


def _flags(expression: Expression) -> int:
    flags = int(hs.HS_FLAG_UTF8)
    return flags | int(hs.HS_FLAG_CASELESS) if expression.caseless else flags


def _database(entries: Sequence[tuple[str, int, int]], folder: Path | None) -> hs.Database:
    file = folder / f"{_name(entries)}.hs" if folder is not None else None
    if file is not None and file.exists():
        # A file that another version wrote, or that is cut short, is compiled again.
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
    digest = blake2b(_FORMAT + version("hyperscan").encode())
    for entry in entries:
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:32]


def _keep(file: Path, data: bytes) -> None:
    """Keeps compiled bytes, if it can: otherwise they are compiled each time. The file is written under another name
    and renamed, so that no reader sees half of it."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(file)
