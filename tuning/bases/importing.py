"""The import of a base model from GGUF: read, measured, rounded to int4, measured again, and written with what it is
and where it comes from."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from patchbay.adapters.digest import file_hash
from patchbay.core.disk import sync
from patchbay.core.distribution import translated_imports
from patchbay.core.errors import ConfigError
from patchbay.core.paths import data_dir
from patchbay.tuning.bases.sources import GgufSource, find_source
from patchbay.tuning.progress import ProgressSink

RECORD_FILE = "patchbay-base.json"
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "compressed-tensors", "gguf")
Rounding = Literal["nearest", "gptq"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """The way in which linear layers are rounded to int4: by `rounding`, in groups of `group_size` inputs, with or
    without zero points."""

    rounding: Rounding = "nearest"
    symmetric: bool = False
    group_size: int = 32

    def __str__(self) -> str:
        return f"{self.rounding}, {'symmetric' if self.symmetric else 'asymmetric'}, groups of {self.group_size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """A base that is to be imported. `method`: None keeps bfloat16; `out`: the new folder; `sha256`: the GGUF file's,
    None for any."""

    source: str
    out: Path
    method: Method | None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """The record of an imported base: its folder, and `facts`, which are in its record file."""

    folder: Path
    facts: dict[str, Any]


def bases_dir() -> Path:
    """Returns the folder of imported bases in the user directory."""
    return data_dir() / "bases"


def downloads_dir() -> Path:
    """Returns the folder in which downloads are kept."""
    return bases_dir() / ".downloads"


def default_name(source: str) -> str:
    """Returns the name of a base whose source says no other: the package's, or the file's without what ends it."""
    text = source.removeprefix("pypi:").split("==")[0] if source.startswith("pypi:") else Path(source).name
    return re.sub(r"[^a-z0-9.-]+", "-", text.split("@")[0].lower().removesuffix(".gguf")).strip("-.")


def checked_source(source: str, sha256: str | None) -> tuple[GgufSource, str]:
    """Finds the GGUF file, and returns it with its SHA-256. Raises ConfigError, also where it is not `sha256`."""
    found = find_source(source, downloads_dir())
    actual = file_hash(found.file)
    if sha256 is not None and actual != sha256.lower():
        raise ConfigError(
            f"{found.source} has the SHA-256 {actual}, expected {sha256}.",
            hint="It is another file than the one that was meant: nothing was imported.",
        )
    return found, actual


def import_base(request: ImportRequest, progress: ProgressSink) -> BaseRecord:
    """Imports the base that `request` names, and returns what is known of it.

    Raises ConfigError where the folder is there already, the source cannot be had, or the file cannot be read.
    """
    if request.out.exists():
        raise ConfigError(f"{request.out} is there already.", hint="Choose another name or folder, or remove it first.")
    progress.start("find the file", 1)
    source, sha256 = checked_source(request.source, request.sha256)
    progress.advance()
    with placed(request.out) as folder:
        facts = _write(source, sha256, request.method, folder, progress)
    return BaseRecord(request.out, facts)


def _write(
    source: GgufSource, sha256: str, method: Method | None, folder: Path, progress: ProgressSink
) -> dict[str, Any]:
    with translated_imports():
        from patchbay.tuning.bases.gguf_file import read_gguf
        from patchbay.tuning.bases.perplexity import held_out_text, mean_nats
        from patchbay.tuning.bases.rounding import stored_tensors
        from patchbay.tuning.bases.writing import write_base

    progress.start("read the file", 1)
    base = read_gguf(source.file)
    progress.advance()
    text = held_out_text()
    before = _measured("measure as it is", progress, lambda: mean_nats(base.model, base.tokenizer, text))
    stored = stored_tensors(base, method, progress)
    after = _measured("measure as it serves", progress, lambda: mean_nats(base.model, base.tokenizer, text))
    write_base(base, stored, folder)
    facts = {
        "source": source.source,
        **source.origin,
        "gguf": {"file": source.file.name, "sha256": sha256, "bytes": source.file.stat().st_size},
        "licence": base.licence or source.licence,
        "quantization": {"bits": 4, **asdict(method)} if method else None,
        "nats": {
            "before": round(before, 4),
            "after": round(after, 4),
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        },
        "weights_sha256": file_hash(folder / "model.safetensors"),
    }
    (folder / RECORD_FILE).write_text(f"{json.dumps(facts, indent=2)}\n", encoding="utf-8")
    return facts


def _measured(stage: str, progress: ProgressSink, measure: Any) -> float:
    progress.start(stage, 1)
    nats = float(measure())
    progress.advance(note=f"{nats:.3f} nats a token")
    return nats


@contextmanager
def placed(out: Path) -> Iterator[Path]:
    """Gives an empty folder beside `out`, which takes that name when the block ends, durably, and is gone where it
    fails."""
    aside = out.parent / f".{out.name}.new"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        for path in (*aside.rglob("*"), aside):
            sync(path)
        aside.rename(out)
        sync(out.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_record(folder: Path) -> BaseRecord:
    """Reads what is known of the base in `folder`. Raises ConfigError where it was not imported by us."""
    try:
        facts = json.loads((folder / RECORD_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} has no readable {RECORD_FILE}: {error}", hint="Only bases of `patchbay models import` have one."
        ) from error
    return BaseRecord(folder, facts)


def imported_bases(folder: Path) -> list[BaseRecord]:
    """Lists the imported bases in `folder`, sorted by name."""
    return [read_record(path.parent) for path in sorted(folder.glob(f"*/{RECORD_FILE}"))]
