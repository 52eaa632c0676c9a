"""The manifest beside the demo's models: the hashes of their files, and their origin."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from patchbay.adapters.digest import file_hash
from patchbay.tuning.demo.errors import DamagedArtifacts

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The size in bytes of one file, and its SHA-256 in hex."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class DemoManifest:
    """The files by their POSIX path inside the folder, and `origin`: seed, corpus, command, versions, scores."""

    files: Mapping[str, FileEntry]
    origin: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The SHA-256 in hex over the sorted names and hashes."""
        lines = "".join(f"{name}\0{self.files[name].sha256}\n" for name in sorted(self.files))
        return hashlib.sha256(lines.encode()).hexdigest()

    @classmethod
    def of_folder(cls, folder: Path, origin: Mapping[str, Any]) -> Self:
        """Describes the files that are in `folder` now."""
        return cls({name: describe(folder / name) for name in sorted(names_in(folder))}, origin)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the manifest in `folder`. Raises `DamagedArtifacts` where there is none or it cannot be read."""
        try:
            raw = json.loads((folder / MANIFEST_FILE).read_bytes())
            files = {name: FileEntry(entry["sha256"], entry["bytes"]) for name, entry in raw["files"].items()}
            return cls(files, raw["origin"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedArtifacts(
                f"The demo's manifest in {folder} cannot be read ({error}).",
                hint="Restore it from git, or make the models anew with `patchbay demo build --train`.",
            ) from error

    def write(self, folder: Path) -> None:
        """Writes the manifest into `folder`."""
        files = {name: {"sha256": entry.sha256, "bytes": entry.bytes} for name, entry in sorted(self.files.items())}
        text = json.dumps({"digest": self.digest, "origin": dict(self.origin), "files": files}, indent=2)
        (folder / MANIFEST_FILE).write_text(f"{text}\n", encoding="utf-8")

    def damaged_in(self, folder: Path) -> list[str]:
        """Returns the names of the files that `folder` lacks or holds with other bytes."""
        return [name for name, entry in self.files.items() if not matches(folder / name, entry)]


def record_scores(folder: Path, scores: list[dict[str, Any]]) -> None:
    """Records in the folder's manifest what its models scored. Raises `DamagedArtifacts`."""
    manifest = DemoManifest.read(folder)
    DemoManifest(manifest.files, {**manifest.origin, "scores": scores}).write(folder)


def names_in(folder: Path) -> Iterator[str]:
    """Lists the POSIX paths of the files in `folder`, without the manifest."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST_FILE:
            yield name


def describe(path: Path) -> FileEntry:
    """Hashes one file."""
    return FileEntry(file_hash(path), path.stat().st_size)


def matches(path: Path, entry: FileEntry) -> bool:
    """Whether the file is there with the bytes that `entry` says."""
    return path.is_file() and path.stat().st_size == entry.bytes and describe(path) == entry
