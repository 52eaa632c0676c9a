"""The fold of an adapter into its base model: a base of its own, for what an engine does not serve beside others.

The new folder appears whole, with its last step, or not at all.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.folder import DEFAULT_LIMITS, FolderLimits
from patchbay.adapters.contents import TEMPLATE_FILE
from patchbay.adapters.fold.admission import Admitted
from patchbay.adapters.fold.checkpoint import BaseCheckpoint, load_torch, read_tensor
from patchbay.adapters.fold.plan import HEAD, plan_fold
from patchbay.adapters.fold.trained import Trained, read_trained
from patchbay.adapters.fold.writing import Told, bytes_of, copied_files, copy_files, write_config, write_weights
from patchbay.adapters.workdir import workdir
from patchbay.core.errors import AdapterError, ArtifactError, ConfigError

FOLD_FILE = "patchbay-fold.json"
_SPARE_BYTES = 64 * 1024**2
FreeBytes = Callable[[Path], int]


@dataclass(frozen=True, slots=True)
class Folded:
    """The result of a fold. `folder`: the new base's; `changed`: how many of its parameters are others than in `base`,
    of `parameters`; `unpacked`: whether int4 was unpacked; `untied`: whether the head got weights of its own;
    `vocabulary`: its new size, None where it is as before; `own_template`: whether its chat template is the
    adapter's."""

    folder: Path
    base: Path
    fingerprint: str
    adapter_digest: str
    changed: int
    parameters: int
    size_bytes: int
    unpacked: bool
    untied: bool
    vocabulary: int | None
    own_template: bool


def free_bytes(folder: Path) -> int:
    """Returns how many bytes can be written where `folder` is."""
    return shutil.disk_usage(folder).free


def fold(
    adapter: Admitted,
    base: Path,
    out: Path,
    *,
    tell: Told = lambda step: None,
    limits: FolderLimits = DEFAULT_LIMITS,
    free: FreeBytes = free_bytes,
) -> Folded:
    """Merges the `adapter` into the model in the folder `base`, and writes the result to the new folder `out`.

    Raises AdapterError where it does not fit, ConfigError where `base` is none that can take it or `out` is not new,
    ArtifactError where the disk has no place for it. Takes the memory of the base's largest parameter some times over.
    """
    check_new(out)
    load_torch()
    tell("reading the base model")
    checkpoint = BaseCheckpoint.read(base)
    trained = _without_copies(read_trained(Path(adapter.folder), limits), checkpoint)
    with because("fit"):
        plan = plan_fold(trained, checkpoint)
    copied = copied_files(base, Path(adapter.folder))
    needed = bytes_of(plan) + sum(path.stat().st_size for path in copied.values())
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        _check_space(out.absolute().parent, needed, free)
        with workdir("fold", within=out.absolute().parent) as aside:
            changed = write_weights(plan, checkpoint, trained, aside, tell)
            _check_effect(changed, trained)
            write_config(plan, checkpoint, aside)
            _write_record(aside, adapter, checkpoint)
            copy_files(copied.values(), aside)
            fingerprint = _fingerprint(aside)
            aside.chmod(0o777 & ~_umask())
            aside.rename(out.absolute())
    except OSError as error:
        raise ArtifactError(f"{out} cannot be written: {error.strerror}.", hint="Name another folder.") from error
    return Folded(
        folder=out.absolute(),
        base=base.absolute(),
        fingerprint=fingerprint,
        adapter_digest=adapter.digest,
        changed=changed,
        parameters=len(plan.parameters),
        size_bytes=needed,
        unpacked=checkpoint.quantization is not None,
        untied=plan.untied,
        vocabulary=plan.rows,
        own_template=copied.get(TEMPLATE_FILE) == Path(adapter.folder) / TEMPLATE_FILE,
    )


def check_new(out: Path) -> None:
    """Raises ConfigError where something is at `out` already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists already, and is not empty.", hint="Name a new folder.")


def _without_copies(trained: Trained, base: BaseCheckpoint) -> Trained:
    """Leaves out what was saved whole and is the base's own: a copy unties no head, and changes nothing."""
    kept = {}
    for name, tensor in trained.whole.items():
        own = _own_name(name, base)
        source = base.parameters.get(own) if own is not None else None
        if source is None or source.packed or source.plain.shape != tensor.shape:
            kept[name] = tensor
            continue
        before = read_tensor(source.file, source.plain)
        if not load_torch().equal(read_tensor(trained.file, tensor).to(before.dtype), before):
            kept[name] = tensor
    return replace(trained, whole=kept)


def _own_name(parameter: str, base: BaseCheckpoint) -> str | None:
    module, _, kind = parameter.rpartition(".")
    name = f"{base.layout.find(module)}.{kind}"
    if name == HEAD and name not in base.parameters:
        return next((one for one in base.parameters if one.endswith("embed_tokens.weight")), None)
    return name


def _check_space(folder: Path, needed: int, free: FreeBytes) -> None:
    found = free(folder)
    if found < needed + _SPARE_BYTES:
        raise ArtifactError(
            f"The new base takes {needed / 1024**3:.2f} GiB, and {folder} has {found / 1024**3:.2f} GiB free.",
            hint="Free space there, or name a folder elsewhere.",
        )


def _check_effect(changed: int, trained: Trained) -> None:
    if not changed:
        raise AdapterError(
            f"{trained.file}: the adapter changes nothing of the base model.",
            hint="Save it after training.",
            reason="values",
        )


def _write_record(out: Path, adapter: Admitted, base: BaseCheckpoint) -> None:
    """Writes from what the base was made."""
    record = {"adapter": adapter.digest, "signed_by": adapter.signer, "base": base.layout.fingerprint}
    (out / FOLD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _fingerprint(folder: Path) -> str:
    layout = BaseLayout.of_folder(folder)
    if layout is None:
        raise ArtifactError(f"{folder} was written, and cannot be read.")
    return layout.fingerprint


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
