"""Revisions to push into a registry, told apart by a number."""

import hashlib
from datetime import datetime

from patchbay.registry.records import FileRecord, Provenance, RevisionDraft

BASE = "b" * 64


def draft(
    adapter: str = "sql", fill: int = 1, *, expires: datetime | None = None, base: str | None = BASE
) -> RevisionDraft:
    """A draft whose digest and one file differ by `fill`."""
    sha256 = hashlib.sha256(str(fill).encode()).hexdigest()
    return RevisionDraft(
        adapter=adapter,
        digest=hashlib.sha256(f"digest {fill}".encode()).hexdigest(),
        base=base,
        rank=8,
        alpha=16.0,
        targets=("q_proj",),
        files=(FileRecord(name="adapter_model.safetensors", sha256=sha256, size=10),),
        provenance=Provenance(source="a test", evaluations={"accuracy": 0.5}, tags=("a", "b"), expires=expires),
    )
