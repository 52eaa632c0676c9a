"""The store of data sets: their rows as compressed pieces in the artifact store, and what is known of them in the
registry.

A data set is immutable. Its digest is the SHA-256 over its kind and, for each split, its name, the number of its rows
and the SHA-256 of their canonical lines; how they are cut and compressed does not count.
"""

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.workdir import staged
from patchbay.core.errors import DataError
from patchbay.core.paths import cache_dir, make_private
from patchbay.registry.dataset_records import DatasetDraft, DatasetRecord, SplitRecord
from patchbay.registry.records import FileRecord
from patchbay.registry.registry import Registry
from patchbay.tuning.data.rows import Kind, Row, read_row

# The order in which splits are hashed, shown and read. Rows that were never split are in the first, as on the Hub.
SPLITS: Final = ("train", "validation", "test")
# Bytes of canonical lines in one piece: small enough that a piece is read again cheaply where it was cut off.
_PIECE: Final = 32 << 20
_LEASE_S: Final = 24 * 3600.0
_NO_NOTES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of the rows of a new data set; the fields are those of `DatasetDraft`."""

    source: str | None = None
    licence: str | None = None
    consent: str | None = None
    parents: tuple[str, ...] = ()
    command: str = ""
    notes: Mapping[str, str] = field(default_factory=lambda: _NO_NOTES)


class RowWriter:
    """Writes rows as the pieces of a data set into `folder`, one split after the other or mixed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._splits: dict[str, _SplitWriter] = {}
        self._kind: Kind | None = None

    def add(self, row: Row, split: str = SPLITS[0]) -> None:
        """Writes a row. Raises DataError where it is of another kind than those before, or the split has no name that
        is known."""
        if split not in SPLITS:
            raise DataError(f"There is no split '{split}'; there are {', '.join(SPLITS)}.")
        self._kind = self._kind or row.kind
        if row.kind != self._kind:
            raise DataError(f"A {row.kind} row among {self._kind} rows: a data set has one kind.")
        if split not in self._splits:
            self._splits[split] = _SplitWriter(self.folder, split)
        self._splits[split].add(row.line())

    @property
    def count(self) -> int:
        """The number of rows so far."""
        return sum(one.rows for one in self._splits.values())

    def finish(self, name: str, origin: Origin) -> DatasetDraft:
        """Ends the writing, and returns the draft of the data set. Raises DataError where there are no rows."""
        if self._kind is None:
            raise DataError("There is no row in it.")
        parts = [self._splits[split] for split in SPLITS if split in self._splits]
        for part in parts:
            part.close()
        splits = tuple(part.record() for part in parts)
        return DatasetDraft(
            name=name,
            digest=digest_of(self._kind, splits),
            kind=self._kind,
            bytes=sum(part.bytes for part in parts),
            splits=splits,
            files=tuple(file for part in parts for file in part.files),
            source=origin.source,
            licence=origin.licence,
            consent=origin.consent,
            parents=origin.parents,
            command=origin.command,
            notes=origin.notes,
        )


def digest_of(kind: str, splits: Iterable[SplitRecord]) -> str:
    """Computes the digest of a data set, in hex."""
    digest = hashlib.sha256(f"patchbay data set 1\n{kind}\n".encode())
    for split in splits:
        digest.update(f"{split.name} {split.rows} {split.sha256}\n".encode())
    return digest.hexdigest()


class _SplitWriter:
    """Writes the pieces of one split."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._digest = hashlib.sha256()
        self._open: tuple[Path, IO[bytes], gzip.GzipFile] | None = None
        self._in_piece = 0
        self.rows = 0
        self.bytes = 0
        self.files: list[FileRecord] = []

    def add(self, line: bytes) -> None:
        self._digest.update(line)
        (self._open or self._begin())[2].write(line)
        self.rows += 1
        self.bytes += len(line)
        self._in_piece += len(line)
        if self._in_piece >= _PIECE:
            self.close()

    def _begin(self) -> tuple[Path, IO[bytes], gzip.GzipFile]:
        path = self._folder / f"{self._name}-{len(self.files):05d}.jsonl.gz"
        file = path.open("xb")
        # Without name and time, so that the same rows give the same bytes.
        self._open = path, file, gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
        self._in_piece = 0
        return self._open

    def close(self) -> None:
        if self._open is None:
            return
        path, file, packed = self._open
        packed.close()
        file.flush()
        os.fsync(file.fileno())
        file.close()
        with path.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        self.files.append(FileRecord(name=path.name, sha256=sha256, size=path.stat().st_size))
        self._open = None

    def record(self) -> SplitRecord:
        return SplitRecord(name=self._name, rows=self.rows, sha256=self._digest.hexdigest())


@dataclass(frozen=True, slots=True)
class DataSets:
    """The data sets of one installation. `staging`: the folder in which new ones are put together; `cache`: where rows
    are unpacked to be read."""

    registry: Registry
    store: ArtifactStore
    staging: Path
    cache: Path = field(default_factory=lambda: cache_dir() / "datasets")

    @contextmanager
    def writing(self) -> Iterator[RowWriter]:
        """Makes a writer whose pieces are gone after the block, where `keep` has not stored them."""
        with staged("data", self.staging) as folder:
            yield RowWriter(folder)

    def keep(self, writer: RowWriter, name: str, origin: Origin, *, actor: str) -> tuple[DatasetRecord, bool]:
        """Stores what was written as the next data set called `name`; returns it and whether it is new. Raises
        DataError where there are no rows, ArtifactError, RegistryError."""
        draft = writer.finish(name, origin)
        lease = self.registry.lease_upload([file.sha256 for file in draft.files], _LEASE_S)
        try:
            for file in draft.files:
                self.store.put(writer.folder / file.name, file.sha256)
            record = self.registry.datasets.add(draft, actor=actor)
            # A clean-up may have run after a file was found in the store and before the line that protects it.
            for file in draft.files:
                self.store.put(writer.folder / file.name, file.sha256)
        finally:
            self.registry.release_upload(lease)
        return record

    def lines(self, record: DatasetRecord, split: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Reads the canonical lines of a data set, with the split of each, or of one split."""
        for name, path in self.paths(record).items():
            if split in (None, name):
                with path.open("rb") as file:
                    yield from ((name, line) for line in file)

    def rows(self, record: DatasetRecord, split: str | None = None) -> Iterator[tuple[str, Row]]:
        """Reads the rows of a data set, with the split of each, or of one split."""
        return ((name, read_row(line)) for name, line in self.lines(record, split))

    def paths(self, record: DatasetRecord) -> Mapping[str, Path]:
        """Returns a plain JSONL file for each split. They are unpacked once, every byte verified, into the cache.

        Raises ArtifactError where the store does not have them whole.
        """
        folder = self.cache / record.draft.digest
        wanted = {split.name: folder / f"{split.name}.jsonl" for split in record.draft.splits}
        if not folder.exists():
            self._unpack(record.draft, folder)
        return wanted

    def _unpack(self, draft: DatasetDraft, folder: Path) -> None:
        make_private(self.cache)
        with staged("data", self.cache) as aside:
            self.store.fetch(draft.files, aside / "pieces")
            unpacked = aside / "rows"
            unpacked.mkdir(mode=0o700)
            for split in draft.splits:
                pieces = [aside / "pieces" / one.name for one in draft.files if one.name.startswith(f"{split.name}-")]
                join_pieces(pieces, unpacked / f"{split.name}.jsonl", split)
            put_folder(unpacked, folder)


def put_folder(made: Path, target: Path) -> None:
    """Puts a folder that is whole in its place, unless another process has."""
    try:
        made.rename(target)
    except OSError as error:
        if not target.is_dir():
            raise DataError(f"{target} cannot be written: {error.strerror}.") from error


def join_pieces(pieces: Iterable[Path], target: Path, split: SplitRecord) -> None:
    digest = hashlib.sha256()
    with target.open("xb") as writer:
        for piece in pieces:
            with gzip.open(piece, "rb") as reader:
                for block in iter(lambda reader=reader: reader.read(1 << 20), b""):  # type: ignore[misc]
                    digest.update(block)
                    writer.write(block)
    if digest.hexdigest() != split.sha256:
        raise DataError(f"The rows of '{split.name}' are not those that were stored.", hint="Restore a backup.")


def described(record: DatasetRecord) -> dict[str, Any]:
    """Returns a data set as plain JSON, for programs."""
    draft = record.draft
    return {
        "name": record.name,
        "digest": draft.digest,
        "kind": draft.kind,
        "rows": draft.rows,
        "bytes": draft.bytes,
        "splits": {split.name: split.rows for split in draft.splits},
        "source": draft.source,
        "licence": draft.licence,
        "consent": draft.consent,
        "parents": list(draft.parents),
        "command": draft.command,
        "notes": dict(draft.notes),
        "created_at": record.created_at.isoformat(),
        "created_by": record.created_by,
        "retired": record.retired_at is not None,
    }
