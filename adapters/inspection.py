"""The inspection of an adapter before it is stored, done in a process of its own.

An archive is unpacked, the checks run, the files are hashed, the manifest and the signature are read. Not a byte of it
is trusted yet, which is why another process reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from patchbay.adapters.archive import unpack
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import because, check_folder
from patchbay.adapters.checks.folder import FolderLimits, check_files
from patchbay.adapters.config import SigningConfig
from patchbay.adapters.digest import folder_hashes
from patchbay.adapters.manifest import read_manifest
from patchbay.adapters.sandbox.bounds import Stop, Task
from patchbay.adapters.sandbox.process import run
from patchbay.adapters.signing import verify_folder
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.registry.records import FileRecord, GoldenPrompt, Provenance

_SLACK_BYTES = 1024**2


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

    `folder`: where its files are; `provenance`, `golden`: from its manifest; `signer`: whose signature is good.
    """

    folder: str
    files: tuple[FileRecord, ...]
    rank: int
    alpha: float
    targets: tuple[str, ...]
    provenance: Provenance
    golden: tuple[GoldenPrompt, ...]
    signer: str | None

    def hashes(self) -> dict[str, str]:
        """Returns every file's SHA-256 by its name."""
        return {file.name: file.sha256 for file in self.files}


_INSPECTED = TypeAdapter(Inspected)


def inspect(place: Path, requirements: Requirements, *, workdir: Path, stop: Stop | None = None) -> Inspected:
    """Inspects the adapter in the folder, or in the archive, at `place`. Writes below `workdir` alone. Blocks.

    Raises AdapterError where it could not be served; TooCostly where reading it took more than it may; WorkStopped
    where `stop` was asked; ConfigError where signatures are demanded and cannot be checked.
    """
    work = {
        "place": str(place.absolute()),
        "workdir": str(workdir.absolute()),
        "limits": requirements.limits.model_dump(),
        "max_rank": requirements.max_rank,
        "signing": requirements.signing.model_dump(mode="json"),
        "base": requirements.base.to_json() if requirements.base is not None else None,
    }
    bounds = requirements.sources.bounds(_size_of(place), requirements.limits.folder_bytes + _SLACK_BYTES)
    return _INSPECTED.validate_python(run(Task("inspect", work), bounds, workdir=workdir, stop=stop), strict=False)


def inspect_task(work: Mapping[str, Any]) -> Any:
    """Does the work of `inspect` within the confined process, and returns an `Inspected` in JSON's types."""
    limits, signing = FolderLimits.model_validate(work["limits"]), SigningConfig.model_validate(work["signing"])
    base = BaseLayout.from_json(work["base"]) if work["base"] is not None else None
    place = Path(work["place"])
    folder = unpack(place, Path(work["workdir"]) / "unpacked", limits) if place.is_file() else place
    with because("files"):
        check_files(folder, limits)
    # Hashed before the check, and stored under these hashes, so that what is kept is what was checked.
    hashes = folder_hashes(folder)
    summary = check_folder(folder, max_rank=work["max_rank"], base=base, limits=limits)
    manifest = read_manifest(folder, base=base, limits=limits)
    inspected = Inspected(
        folder=str(folder),
        files=tuple(
            FileRecord(name=name, sha256=sha256, size=(folder / name).stat().st_size) for name, sha256 in hashes.items()
        ),
        rank=summary.rank,
        alpha=summary.alpha,
        targets=tuple(sorted({module.rpartition(".")[2] for module in summary.modules})),
        provenance=manifest.provenance() if manifest else Provenance(evaluations={}),
        golden=manifest.golden_prompts() if manifest else (),
        signer=verify_folder(folder, signing),
    )
    return _INSPECTED.dump_python(inspected, mode="json")


def _size_of(place: Path) -> int:
    """Counts the bytes at `place`: the bounds on the work grow with them.

    It takes no more than a walk over the folder.
    """
    if place.is_file():
        return place.stat().st_size
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and not path.is_symlink())
