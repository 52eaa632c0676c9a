"""The manifest of a backup: the list of what is in the folder, written last, so that a folder without one is no
backup."""

import json
import uuid
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from patchbay.core.errors import ConfigError
from patchbay.core.settings import Settings
from patchbay.registry.spool import sync_folder, write_private

MANIFEST: Final = "manifest.json"
DATABASE: Final = "registry.db"
ARTIFACTS: Final = "artifacts"
FORMAT: Final = 1


class DatabaseRecord(Settings):
    """The copy of the registry's file. `generation`: the registry's; `tables`: the migration that its tables are at;
    `responses`: how many responses that clients had kept are in it."""

    sha256: str
    size: int
    generation: int
    tables: str
    responses: int = 0


class BackupManifest(Settings):
    """The contents of a backup.

    `made_at`: ISO 8601; `version`: Patchbay's; `database`: None where artifacts alone were saved; `artifacts`: their
    SHA-256, None where the store was not saved; `missing`: those that the registry names and the store did not have
    whole.
    """

    format: int = FORMAT
    made_at: str
    version: str
    database: DatabaseRecord | None
    artifacts: tuple[str, ...] | None
    missing: tuple[str, ...] = ()


def read_manifest(folder: Path) -> BackupManifest:
    """Reads the manifest of the backup in `folder`. Raises ConfigError where there is none, or of another form."""
    try:
        found = BackupManifest.model_validate(json.loads((folder / MANIFEST).read_bytes()))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{folder} is no backup: it has no {MANIFEST}, which is written last.", hint="Name a whole one."
        ) from error
    except (OSError, ValidationError, ValueError) as error:
        raise ConfigError(f"{folder / MANIFEST} cannot be read ({type(error).__name__}).") from error
    if found.format != FORMAT:
        raise ConfigError(
            f"{folder} is a backup of form {found.format}, and not {FORMAT}.", hint="Use a newer version."
        )
    return found


def write_manifest(folder: Path, manifest: BackupManifest) -> None:
    """Writes the manifest, whole or not at all. Raises OSError."""
    part = folder / f".{MANIFEST}-{uuid.uuid4().hex}"
    write_private(part, manifest.model_dump_json(indent=2).encode())
    part.rename(folder / MANIFEST)
    sync_folder(folder)


def artifact_of(folder: Path, sha256: str) -> Path:
    """Returns the place of a file in the backup in `folder`."""
    return folder / ARTIFACTS / "sha256" / sha256[:2] / sha256
