"""The link from a revision to the data set that it was trained on, by the digest that its manifest names."""

import re
from dataclasses import dataclass

from patchbay.core.errors import AdapterError
from patchbay.registry.dataset_records import DatasetRecord
from patchbay.registry.registry import Registry

_SHA256 = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DataLink:
    """The data set that a `data_hash` means. `record`: None where the registry knows none; `warning`: what to tell
    whoever pushes, in a sentence, None where nothing is odd."""

    record: DatasetRecord | None = None
    warning: str | None = None


def link_data(registry: Registry, data_hash: str | None, *, require_known: bool = False) -> DataLink:
    """Finds the data set that `data_hash` names. A hash of another form than SHA-256, as other tools have, is left
    alone.

    Raises AdapterError where `require_known` is set and the registry knows no such data set.
    """
    record = registry.datasets.by_digest(data_hash) if data_hash is not None else None
    if record is not None:
        retired = f"{record.name}, which it was trained on, is retired." if record.retired_at is not None else None
        return DataLink(record, retired)
    if require_known:
        said = (
            f"data_hash {data_hash[:24]}… names no data set of this registry." if data_hash else "It has no data_hash."
        )
        raise AdapterError(
            said,
            hint="'patchbay data list --json' shows their digests (registry.data.require_known is set).",
            reason="data",
        )
    if data_hash is not None and _SHA256.fullmatch(data_hash):
        return DataLink(
            warning=f"data_hash {data_hash.removeprefix('sha256:')[:12]}… names no data set of this registry."
        )
    return DataLink()
