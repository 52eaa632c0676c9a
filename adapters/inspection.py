"""The inspection of an adapter before it is stored, done in a process of its own.

An archive is unpacked, the checks run, the files are hashed, the manifest and the signature are read. Not a byte of it
is trusted yet, which is why another process reads it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from patchbay.adapters.archive import unpack
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import because, check_folder
from patchbay.adapters.checks.folder import FolderLimits, check_files, find_adapter
from patchbay.adapters.checks.trials import Trials
from patchbay.adapters.config import SigningConfig
from patchbay.adapters.contents import MOST_NAMED, TOKENIZER_FILE
from patchbay.adapters.digest import folder_hashes
from patchbay.adapters.manifest import read_manifest
from patchbay.adapters.parity.reading import read_parity
from patchbay.adapters.sandbox.bounds import Stop, Task
from patchbay.adapters.sandbox.process import run
from patchbay.adapters.signing import verify_folder
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.adapters.sources.place import Fetched
from patchbay.adapters.stored_form import stored_form
from patchbay.core.errors import AdapterError
from patchbay.registry.records import FileRecord, GoldenPrompt, Provenance

_SLACK_BYTES = 1024**2
# Reading a byte of a tokenizer takes as long as so many of weights.
_TOKENIZERS_COST = 16
# In the working folder, where the stored form differs from what was pushed.
_STORED = "stored"


@dataclass(frozen=True, slots=True)
class Requirements:
    """The requirements on an adapter.

    `base`: the layout it must fit, where that is known; `sources`: what reading it may take.
    """

    limits: FolderLimits
    max_rank: int
    signing: SigningConfig
    sources: SourcesConfig
    base: BaseLayout | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """The facts of an inspected adapter, all of them checked.

    `folder`: where its files are; `provenance`, `golden`: from its manifest; `signer`: whose signature is good;
    `left_out`: what its source holds beside them; `changes`: what was changed of them, in words.
    """

    folder: str
    files: tuple[FileRecord, ...]
    rank: int
    alpha: float
    targets: tuple[str, ...]
    provenance: Provenance
    golden: tuple[GoldenPrompt, ...]
    signer: str | None
    left_out: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def hashes(self) -> dict[str, str]:
        """Returns every file's SHA-256 by its name."""
        return {file.name: file.sha256 for file in self.files}


_INSPECTED = TypeAdapter(Inspected)


def inspect(place: Fetched, requirements: Requirements, *, workdir: Path, stop: Stop | None = None) -> Inspected:
    """Inspects the adapter in the folder, or in the archive, at `place`. Writes below `workdir` alone. Blocks.

    Raises AdapterError where it could not be served; TooCostly where reading it took more than it may; WorkStopped
    where `stop` was asked; ConfigError where signatures are demanded and cannot be checked.
    """
    work = described(place, requirements, workdir)
    bounds = requirements.sources.bounds(size_of(place), requirements.limits.folder_bytes + _SLACK_BYTES)
    return _INSPECTED.validate_python(run(Task("inspect", work), bounds, workdir=workdir, stop=stop), strict=False)


def described(place: Fetched, requirements: Requirements, workdir: Path) -> dict[str, Any]:
    """Describes the work on the adapter at `place` to the confined process, in JSON's types."""
    return {
        "place": str(place.path.absolute()),
        "pick": place.pick,
        "left_out": place.left_out,
        "workdir": str(workdir.absolute()),
        "limits": requirements.limits.model_dump(),
        "max_rank": requirements.max_rank,
        "signing": requirements.signing.model_dump(mode="json"),
        "base": requirements.base.to_json() if requirements.base is not None else None,
    }


def inspect_task(work: Mapping[str, Any], trials: Trials) -> Any:
    """Does the work of `inspect` within the confined process, and returns an `Inspected` in JSON's types.

    `trials`: try a tokenizer and a template, in this very process.
    """
    limits, signing = FolderLimits.model_validate(work["limits"]), SigningConfig.model_validate(work["signing"])
    base = BaseLayout.from_json(work["base"]) if work["base"] is not None else None
    place = opened(work, limits)
    with _named_as(place.path, Path(work["workdir"]) / _STORED):
        form = stored_form(place.path, base, limits, Path(work["workdir"]) / _STORED)
        # Hashed before the check, and stored under these hashes, so that what is kept is what was checked.
        hashes = folder_hashes(form.folder)
        summary = check_folder(form.folder, max_rank=work["max_rank"], base=base, limits=limits, trials=trials)
        manifest = read_manifest(form.folder, base=base, limits=limits)
        read_parity(form.folder, vocabulary=base.tokenizer.size if base is not None and base.tokenizer else None)
        signer = verify_folder(form.folder, signing)
    inspected = Inspected(
        folder=str(form.folder),
        files=tuple(
            FileRecord(name=name, sha256=sha256, size=(form.folder / name).stat().st_size)
            for name, sha256 in hashes.items()
        ),
        rank=summary.rank,
        alpha=summary.alpha,
        targets=tuple(sorted({module.rpartition(".")[2] for module in summary.modules})),
        provenance=manifest.provenance() if manifest else Provenance(evaluations={}),
        golden=manifest.golden_prompts() if manifest else (),
        signer=signer,
        left_out=place.left_out,
        changes=form.changes,
    )
    return _INSPECTED.dump_python(inspected, mode="json")


def opened(work: Mapping[str, Any], limits: FolderLimits) -> Fetched:
    """Opens what was fetched: the adapter's own folder, unpacked where that takes it. Raises AdapterError."""
    place, told = Path(work["place"]), tuple(work["left_out"])
    if place.is_file():
        folder = Path(work["workdir"]) / "unpacked"
        found = unpack(place, folder, limits, work["pick"])
    else:
        with because("files"):
            folder, found = find_adapter(place, work["pick"])
    with because("files"):
        check_files(folder, limits)
    return Fetched(folder, None, tuple(dict.fromkeys((*told, *found.left_out)))[:MOST_NAMED])


@contextmanager
def _named_as(folder: Path, stored: Path) -> Iterator[None]:
    """Names the files of the stored form in errors as they are in `folder`, where whoever pushes knows them."""
    try:
        yield
    except AdapterError as error:
        message = error.message.replace(str(stored), str(folder))
        raise type(error)(message, hint=error.hint, reason=error.reason) from error


def size_of(place: Fetched) -> int:
    """Counts the bytes of the adapter at `place`: the bounds on the work grow with them.

    It is 0 where there is none, which the work itself says then.
    """
    try:
        if place.path.is_file():
            return place.path.stat().st_size
        folder, found = find_adapter(place.path, place.pick)
        sizes = {name: (folder / name).stat().st_size for name in found.own}
        return sum(sizes.values()) + _TOKENIZERS_COST * sizes.get(TOKENIZER_FILE, 0)
    except (AdapterError, OSError):
        return 0
