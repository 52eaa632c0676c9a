"""The records of data sets in the registry, as frozen values. Times are aware UTC datetimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from patchbay.core.names import revision_name
from patchbay.registry.records import FileRecord

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecord:
    """A split of a data set: how many `rows` it has, and the SHA-256 of their canonical lines, in hex."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDraft:
    """A data set that is not in the registry yet.

    `digest`: SHA-256 over its kind and the rows of its splits; `kind`: `chat`, `preference` or `vote`; `bytes`: of all
    rows as canonical lines; `files`: the compressed pieces in the artifact store, `SPLIT-00000.jsonl.gz`, in order;
    `source`: where the rows came from; `licence`: an SPDX identifier; `consent`: on which ground people's words may be
    used; `parents`: the data sets that it was made from, `tickets@1`; `command`: the command that made it, in words;
    `notes`: what else there is to know, by name.
    """

    name: str
    digest: str
    kind: str
    bytes: int
    splits: tuple[SplitRecord, ...]
    files: tuple[FileRecord, ...]
    source: str | None = None
    licence: str | None = None
    consent: str | None = None
    parents: tuple[str, ...] = ()
    command: str = ""
    notes: Mapping[str, str] = field(default_factory=lambda: _NONE)

    @property
    def rows(self) -> int:
        """The number of rows of all splits together."""
        return sum(split.rows for split in self.splits)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """A data set in the registry. Only `retired_at` ever changes: the time from which its rows may be removed."""

    number: int
    draft: DatasetDraft
    created_at: datetime
    created_by: str
    retired_at: datetime | None = None

    @property
    def name(self) -> str:
        """The name by which people call it: `tickets@3`."""
        return revision_name(self.draft.name, self.number)
