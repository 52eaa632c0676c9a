"""The place of an adapter: its source, the folder in it that somebody picks, `SOURCE#FOLDER`, and what was fetched."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched source: a folder with an adapter, or an archive of one, on this machine.

    `pick`: the folder in it that the adapter is in, where that is still to be chosen; `left_out`: what the source holds
    beside the adapter.
    """

    path: Path
    pick: str | None = None
    left_out: tuple[str, ...] = ()


def split_pick(source: str) -> tuple[str, str | None]:
    """Splits `SOURCE#FOLDER` into the source and the folder that is picked in it, None where none is. Pure but for a
    look whether a path with a `#` is there as it stands."""
    place, mark, folder = source.partition("#") if "://" in source else source.rpartition("#")
    if not mark or not folder or not place or ("://" not in source and Path(source).expanduser().exists()):
        return source, None
    return place, folder.strip("/")
