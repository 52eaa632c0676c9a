"""The base of every configuration model: frozen, and strict about unknown keys."""

import difflib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from patchbay.core.errors import AdapterError, ConfigError
from patchbay.core.names import check_name
from patchbay.core.yaml_text import parse_yaml


class Settings(BaseModel):
    """A part of the configuration. Unknown keys are errors; instances cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


S = TypeVar("S", bound=Settings)
REPLICA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\[\]-]{0,127}")


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping that the YAML file at `path` holds; an empty file is an empty mapping.

    Raises ConfigError where the file cannot be read, is no YAML, or holds something other than a mapping.
    """
    try:
        loaded = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except (ConfigError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold a mapping at its top, not a {type(loaded).__name__}.")
    return loaded


def parse_settings(model: type[S], data: Mapping[str, Any], *, source: str) -> S:
    """`data` as a `model`. `source` names where the data came from, for the message.

    Raises ConfigError that lists every fault with its place, and for an unknown key the nearest known one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [fault(model, detail["loc"], detail) for detail in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(faults) + ".") from error


def check_setting_name(name: str) -> str:
    """`name`, where an adapter or a process may be called so. Raises ValueError, for a model's validator."""
    try:
        return check_name(name)
    except AdapterError as error:
        raise ValueError(str(error)) from error


def replica_url(value: str, schemes: Sequence[str] = ("http", "https")) -> str:
    """`value` as a replica's address, without what a plain base URL ends with. Raises ConfigError where it is none."""
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname or not _port_is_valid(value):
        forms = " or ".join(f"{scheme}://HOST:PORT" for scheme in schemes if scheme != "https")
        raise ConfigError(f"'{value}' is no replica's address; write it as {forms}.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError("A replica's address has no user, no '?' and no '#'.")
    return value.rstrip("/").removesuffix("/v1")


def check_replica_name(name: str) -> str:
    """`name`, where a replica may be called so. Raises ConfigError."""
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
    """Whether `host` is an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fault(model: type[BaseModel] | None, place_of: tuple[int | str, ...], detail: Mapping[str, Any]) -> str:
    """A fault that pydantic found, in words: its place, and for an unknown key the nearest known one.

    `model`: what was read, None where that is not known; `place_of`: where in it, `detail`: pydantic's own error.
    """
    place = ".".join(str(part) for part in place_of)
    if detail["type"] == "extra_forbidden":
        return f"unknown key '{place}'{_suggestion(model, place_of) if model is not None else ''}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"'{place}': {message}" if place else message


def _suggestion(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    known = _keys_at(model, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (known here: {', '.join(sorted(known))})" if known else ""


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that the model nested at `path` knows; none where the path leads to no single model."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is not None and part in current.model_fields:
            current = _nested_model(current.model_fields[str(part)].annotation)
    return list(current.model_fields) if current is not None else []


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _nested_model(argument)) is not None:
            return found
    return None
