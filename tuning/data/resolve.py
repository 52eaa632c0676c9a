"""The one way from what a recipe names to rows on the disk: a data set's name, or a file."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import RegistryConfig, load_registry_config
from patchbay.adapters.workdir import staged
from patchbay.core.errors import DataError
from patchbay.core.paths import cache_dir, data_dir, make_private
from patchbay.registry.registry import Registry
from patchbay.tuning.data.formats import RecordReading
from patchbay.tuning.data.importing import RejectFile, import_rows
from patchbay.tuning.data.reading import READERS
from patchbay.tuning.data.store import DataSets, Origin, RowWriter, join_pieces, put_folder

_FILE = Path("patchbay.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedData:
    """Rows on this machine.

    `name`: `tickets@3`, or the file's; `digest`: of the rows, in hex, which a manifest's `data_hash` names; `kind`:
    `chat`, `preference` or `vote`; `rows`: in all splits; `splits`: a file of canonical JSON lines for each, by name,
    at least one of `train`, `validation`, `test`.
    """

    name: str
    digest: str
    kind: str
    rows: int
    splits: Mapping[str, Path]


def resolve(spec: str, *, config: Path | None = None, cache: Path | None = None) -> ResolvedData:
    """Finds the rows that `spec` names: `tickets@3`, `tickets` (the newest that is not retired), or a path to a file or
    a folder in any format that `patchbay data import` reads.

    `config`: a patchbay.yaml, by default the one in the working directory; `cache`: the folder in which rows are
    unpacked. A file of which a record is no row is refused: importing it tells what does not fit. Raises ConfigError,
    DataError, NotFound, ArtifactError, RegistryError.
    """
    cache = cache or cache_dir() / "datasets"
    path = Path(spec).expanduser()
    if path.is_dir() or (path.suffix and any(path.name.lower().endswith(end) for end in READERS)):
        return _resolve_file(path, cache)
    with opened_data(config, cache=cache) as data:
        record = data.registry.datasets.resolve(spec)
        draft = record.draft
        splits = data.paths(record)
    return ResolvedData(name=record.name, digest=draft.digest, kind=draft.kind, rows=draft.rows, splits=splits)


@contextmanager
def opened_data(config: Path | None = None, *, cache: Path | None = None) -> Iterator[DataSets]:
    """Opens the data sets of an installation. `config`: as for `resolve`. Raises ConfigError, RegistryError."""
    found, _ = load_registry_config(config or (_FILE if _FILE.exists() else None))
    with Registry.open(found.url.get_secret_value()) as registry:
        yield data_sets(registry, found, cache=cache)


def data_sets(registry: Registry, config: RegistryConfig, *, cache: Path | None = None) -> DataSets:
    """Returns the data sets of a registry that is open. Raises ConfigError where its store cannot be opened."""
    store = ArtifactStore.open(config.artifacts)
    staging = config.sources.staging or data_dir() / "staging"
    return DataSets(registry, store, staging, cache or cache_dir() / "datasets")


def _resolve_file(path: Path, cache: Path) -> ResolvedData:
    make_private(cache)
    with staged("data", cache) as aside:
        pieces, rejects = aside / "pieces", RejectFile(aside / "rejects.jsonl")
        pieces.mkdir()
        writer = RowWriter(pieces)
        report = import_rows([path], RecordReading(), writer, rejects, lambda count: None)
        if report.rejected:
            raise DataError(
                f"{path}: {report.rejected} of {report.rejected + report.rows} records are no rows: {report.listed[0]}",
                hint=f"Import it, which lists them all: patchbay data import {path} --name NAME.",
            )
        draft = writer.finish(path.name, Origin(source=str(path)))
        folder, unpacked = cache / draft.digest, aside / "rows"
        unpacked.mkdir(mode=0o700)
        for split in draft.splits:
            found = [pieces / file.name for file in draft.files if file.name.startswith(f"{split.name}-")]
            join_pieces(found, unpacked / f"{split.name}.jsonl", split)
        if folder.exists():
            shutil.rmtree(unpacked)
        else:
            put_folder(unpacked, folder)
    splits = {split.name: folder / f"{split.name}.jsonl" for split in draft.splits}
    return ResolvedData(name=str(path), digest=draft.digest, kind=draft.kind, rows=draft.rows, splits=splits)
