"""The admission of an adapter to a fold: it is unpacked, checked and hashed in a confined process, as at a push."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from patchbay.adapters.checks.folder import FolderLimits, check_files
from patchbay.adapters.checks.templates_trial import check_template
from patchbay.adapters.checks.wording import chat_template, special_tokens
from patchbay.adapters.config import SigningConfig
from patchbay.adapters.digest import digest_of, folder_hashes
from patchbay.adapters.fold.trained import read_trained
from patchbay.adapters.inspection import Requirements, described, opened, size_of
from patchbay.adapters.sandbox.bounds import Stop, Task
from patchbay.adapters.sandbox.process import run
from patchbay.adapters.signing import verify_folder
from patchbay.adapters.sources.place import Fetched

_SLACK_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Admitted:
    """An adapter that can be folded, as far as its own files tell. `folder`: where they are; `digest`: of its bytes;
    `signer`: whose signature is good; `left_out`: what its source holds beside it."""

    folder: str
    digest: str
    signer: str | None
    left_out: tuple[str, ...]


_ADMITTED = TypeAdapter(Admitted)


def admit(place: Fetched, requirements: Requirements, *, workdir: Path, stop: Stop | None = None) -> Admitted:
    """Admits the adapter in the folder, or in the archive, at `place`. Writes below `workdir` alone. Blocks.

    Raises AdapterError where it is none that can be folded; TooCostly where reading it took more than it may.
    """
    limits = requirements.limits
    bounds = requirements.sources.bounds(size_of(place), limits.folder_bytes + _SLACK_BYTES)
    task = Task("fold", described(place, requirements, workdir))
    return _ADMITTED.validate_python(run(task, bounds, workdir=workdir, stop=stop), strict=False)


def admit_task(work: Mapping[str, Any]) -> Any:
    """Does the work of `admit` within the confined process. Returns an `Admitted` in JSON's types."""
    limits = FolderLimits.model_validate(work["limits"])
    found = opened(work, limits)
    check_files(found.path, limits)
    digest = digest_of(folder_hashes(found.path))
    read_trained(found.path, limits)
    if (template := chat_template(found.path, limits)) is not None:
        check_template(template[1], special_tokens(found.path, limits))
    signer = verify_folder(found.path, SigningConfig.model_validate(work["signing"]))
    return _ADMITTED.dump_python(Admitted(str(found.path), digest, signer, found.left_out), mode="json")
