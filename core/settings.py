"""The base of every configuration model, frozen and strict about unknown keys, and the reading of YAML files."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

from patchbay.core.errors import AdapterError, ConfigError
from patchbay.core.names import check_name
from patchbay.core.setting_faults import Examined, examine, refusal
from patchbay.core.yaml_text import parse_yaml


class Settings(BaseModel):
    """A part of the configuration. Unknown keys are errors; instances cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


S = TypeVar("S", bound=Settings)
_FOLDER = "folder"
REPLICA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\[\]-]{0,127}")


def absolute_url(url: str, folder: Path) -> str:
    """Returns `url`, or where it is a plain path, that path below `folder`, absolute."""
    return url if "://" in url else str(folder / Path(url).expanduser())


def absolute_model(model: str, folder: Path) -> str:
    """Returns `model` as a path below `folder` where it begins like one or is a folder there, else as it is: a hub's
    id."""
    path = folder / Path(model).expanduser()
    return str(path) if model.startswith((".", "/", "~")) or path.is_dir() else model


def _folder_of(info: ValidationInfo) -> Path:
    """Returns the folder that relative paths are relative to: none, where they were not read from a file."""
    folder: Path = (info.context or {}).get(_FOLDER) or Path()
    return folder


def _below(path: Path, info: ValidationInfo) -> Path:
    return _folder_of(info) / path.expanduser()


def _source(text: str, info: ValidationInfo) -> str:
    return absolute_url(text, _folder_of(info))


def _model(text: str, info: ValidationInfo) -> str:
    return absolute_model(text, _folder_of(info))


# Paths in a configuration file. Relative ones are relative to that file, whatever the working directory is.
ConfigPath = Annotated[Path, AfterValidator(_below)]
# The same, where a text with `://` in it is an address and stays as it is.
PathOrUrl = Annotated[str, AfterValidator(_source)]
# A model: a path where it begins like one or is a folder, else a hub's id.
ModelPath = Annotated[str, AfterValidator(_model)]


def load_yaml(path: Path) -> dict[str, Any]:
    """Reads the mapping in the YAML file at `path`; an empty file is an empty mapping.

    Raises ConfigError where the file cannot be read, is no YAML, or holds something other than a mapping.
    """
    try:
        loaded = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}.", faults=error.faults) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        spaced = " Write a space after each colon." if isinstance(loaded, str) and ":" in loaded else ""
        raise ConfigError(f"{path} must hold a mapping at its top, not a {type(loaded).__name__}.{spaced}")
    return loaded


def parse_settings(
    model: type[S], data: Mapping[str, Any], *, source: str, file: Path | None = None, folder: Path | None = None
) -> S:
    """Validates `data` as a `model`. `source`: the origin of the data, for the message; `file`: that it was read from;
    `folder`: that relative paths in it are relative to, by default the file's.

    Raises ConfigError that lists every fault with its place, in a file its line and column, and for an unknown key the
    nearest known one.
    """
    examined = examine_settings(model, data, file=file, folder=folder)
    if examined.settings is None or examined.faults:
        raise refusal(source, examined.faults, file=file)
    return examined.settings


def examine_settings(
    model: type[S],
    data: Mapping[str, Any],
    *,
    file: Path | None = None,
    folder: Path | None = None,
    stand_ins: Mapping[str, Any] | None = None,
) -> Examined[S]:
    """Validates `data` as `parse_settings` does, and returns what is in order with the faults of the rest.

    `stand_ins`: values for keys at the top that are needed, where they are missing or nothing in them is in order.
    """
    if folder is None and file is not None:
        folder = file.absolute().parent
    return examine(model, data, {_FOLDER: folder}, stand_ins or {})


def check_setting_name(name: str) -> str:
    """Returns `name` where it is valid for an adapter or a process. Raises ValueError, for a model's validator."""
    try:
        return check_name(name)
    except AdapterError as error:
        raise ValueError(str(error)) from error


def replica_url(value: str, schemes: Sequence[str] = ("http", "https")) -> str:
    """Returns `value` as a replica's address, without a final `/v1` or slash. Raises ConfigError where it is none."""
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname or not _port_is_valid(value):
        forms = " or ".join(f"{scheme}://HOST:PORT" for scheme in schemes if scheme != "https")
        raise ConfigError(f"'{value}' is no replica's address; write it as {forms}.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError("A replica's address has no user, no '?' and no '#'.")
    return value.rstrip("/").removesuffix("/v1")


def check_replica_name(name: str) -> str:
    """Returns `name` where it is valid for a replica. Raises ConfigError."""
    if not REPLICA_NAME.fullmatch(name):
        raise ConfigError(
            f"'{name[:140]}' is no replica's name: letters, digits and any of . _ : [ ] - are, up to 128."
        )
    return name


def _port_is_valid(url: str) -> bool:
    try:
        port = urlsplit(url).port
    except ValueError:
        return False
    return port is None or port > 0


def is_loopback(host: str) -> bool:
    """Says whether `host` is an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
