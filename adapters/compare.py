"""How two revisions differ: in what is recorded of them, and in what they do to the base model's weights. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.weights import LoraModule, read_modules
from patchbay.registry.records import Revision


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not the same. `field`: `rank`, `file adapter_config.json`, ..."""

    field: str
    before: Any
    after: Any


def diff(before: Revision, after: Revision) -> tuple[Change, ...]:
    """Everything recorded of the two revisions that is not the same."""
    one, other = _facts(before), _facts(after)
    names = sorted(one.keys() | other.keys())
    return tuple(Change(n, one.get(n), other.get(n)) for n in names if one.get(n) != other.get(n))


def weight_distances(before: Path, after: Path) -> dict[str, float]:
    """For each module, the size of the difference of the two adapters' deltas over the size of the first's (Frobenius
    norms): 0 for the same, 1 for a module that only one of them has, 2 where the second does the opposite.

    Raises AdapterError where a folder holds no sound adapter.
    """
    one = {module.name: module for module in read_modules(before)}
    other = {module.name: module for module in read_modules(after)}
    return {name: _distance(one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())}


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


def _distance(one: LoraModule | None, other: LoraModule | None) -> float:
    if one is None or other is None:
        return 1.0
    import numpy as np

    if (one.a.shape[1], one.b.shape[0]) != (other.a.shape[1], other.b.shape[0]):
        return float("inf")
    # |B A| from the small matrices B'B and A A', since the deltas themselves are as large as the base's weights.
    b = np.concatenate([one.b * one.scale, -other.b * other.scale], axis=1).astype(np.float64)
    a = np.concatenate([one.a, other.a], axis=0).astype(np.float64)
    own_b, own_a = (one.b * one.scale).astype(np.float64), one.a.astype(np.float64)
    difference = float(np.sum((b.T @ b) * (a @ a.T)))
    size = float(np.sum((own_b.T @ own_b) * (own_a @ own_a.T)))
    if size <= 0:
        return 0.0 if difference <= 0 else float("inf")
    return float(np.sqrt(max(0.0, difference) / size))
