"""The comparison of two revisions: of what the registry records, and of their effects on the base model's weights.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.weights import LoraModule, read_modules
from patchbay.registry.records import Revision


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded fact that differs. `field`: `rank`, `file adapter_config.json`, ..."""

    field: str
    before: Any
    after: Any


def diff(before: Revision, after: Revision) -> tuple[Change, ...]:
    """Returns every recorded fact of the two revisions that differs."""
    old, new = _facts(before), _facts(after)
    names = sorted(old.keys() | new.keys())
    return tuple(Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def weight_distances(before: Path, after: Path) -> dict[str, float]:
    """Measures for each module how far the two adapters' deltas are apart.

    The distance is the Frobenius norm of the difference over that of the first's delta: 0 for the same, 1 for a module
    that only one of them has, 2 where the second does the opposite. Raises AdapterError where a folder holds no sound
    adapter.
    """
    old = {module.name: module for module in read_modules(before)}
    new = {module.name: module for module in read_modules(after)}
    return {name: _distance(old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())}


def _facts(revision: Revision) -> Mapping[str, Any]:
    draft = revision.draft
    files = {f"file {file.name}": file.sha256[:12] for file in draft.files}
    provenance = {name: getattr(draft.provenance, name) for name in draft.provenance.__slots__}
    facts = {"digest": draft.digest[:12], "base": (draft.base or "any")[:12], "rank": draft.rank, "alpha": draft.alpha}
    return {
        **facts,
        "targets": ", ".join(draft.targets),
        "size": draft.size_bytes,
        "golden prompts": len(draft.golden),
        "signed by": draft.signed_by,
        **{name: value for name, value in provenance.items() if value},
        **files,
    }


def _distance(old: LoraModule | None, new: LoraModule | None) -> float:
    if old is None or new is None:
        return 1.0
    import numpy as np

    if (old.a.shape[1], old.b.shape[0]) != (new.a.shape[1], new.b.shape[0]):
        return float("inf")
    # |B A| from the small matrices B'B and A A', since the deltas themselves are as large as the base's weights.
    b = np.concatenate([old.b * old.scale, -new.b * new.scale], axis=1).astype(np.float64)
    a = np.concatenate([old.a, new.a], axis=0).astype(np.float64)
    old_b, old_a = (old.b * old.scale).astype(np.float64), old.a.astype(np.float64)
    difference = float(np.sum((b.T @ b) * (a @ a.T)))
    size = float(np.sum((old_b.T @ old_b) * (old_a @ old_a.T)))
    if size <= 0:
        return 0.0 if difference <= 0 else float("inf")
    return float(np.sqrt(max(0.0, difference) / size))
