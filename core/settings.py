"""The base of every configuration model, frozen and strict about unknown keys, and the reading of YAML files."""

import contextlib
import difflib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from patchbay.core.errors import AdapterError, ConfigError
from patchbay.core.names import check_name
from patchbay.core.yaml_text import parse_yaml, place_of


class Settings(BaseModel):
    """A part of the configuration. Unknown keys are errors; instances cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


S = TypeVar("S", bound=Settings)
_MAPPING = "must be a mapping, which has a key and a value in each line"
_LIST = "must be a list"
_TEXT = "must be a text (in quotes, where it looks like a number)"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_SWITCH = "must be true or false"
# What is wrong with a value, by pydantic's name for it.
_WORDS = {
    "missing": "is missing",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "string_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "path_type": "must be a path",
}
_FOLDER = "folder"
_PLACED = "placed"
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
        raise ConfigError(f"{path} is not valid YAML: {error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold a mapping at its top, not a {type(loaded).__name__}.")
    return loaded


def parse_settings(
    model: type[S], data: Mapping[str, Any], *, source: str, file: Path | None = None, folder: Path | None = None
) -> S:
    """Validates `data` as a `model`. `source`: the origin of the data, for the message; `file`: that it was read from;
    `folder`: that relative paths in it are relative to, by default the file's.

    Raises ConfigError that lists every fault with its place, in a file its line and column, and for an unknown key the
    nearest known one.
    """
    if folder is None and file is not None:
        folder = file.absolute().parent
    try:
        return model.model_validate(data, context={_FOLDER: folder})
    except ValidationError as error:
        details = own_faults(error.errors())
        places = _places(file, [_keys_of(detail) for detail in details])
        faults = [place + fault(model, _keys_of(detail), detail) for place, detail in zip(places, details, strict=True)]
        raise ConfigError(f"{source}: " + "; ".join(faults) + ".") from error


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a configuration. `keys`: where it stands, empty for no place; `words`: what is wrong, and what to do,
    without a full stop."""

    keys: tuple[str | int, ...]
    words: str


def refusal(source: str, faults: Sequence[Fault], *, file: Path | None) -> ConfigError:
    """Returns the error that lists `faults`, each with its line and column in `file`, where it stands there."""
    places = _places(file, [one.keys for one in faults])
    said = [
        f"{place}'{'.'.join(map(str, one.keys))}': {one.words}" if one.keys else one.words
        for place, one in zip(places, faults, strict=True)
    ]
    return ConfigError(f"{source}: " + "; ".join(said) + ".")


def placed(keys: Sequence[str | int], words: str) -> PydanticCustomError:
    """Returns the error by which a model's validator refuses what stands at `keys` below the model."""
    return PydanticCustomError(_PLACED, "{words}", {"words": words, "keys": tuple(keys)})


def _keys_of(detail: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Returns where a fault that pydantic found stands."""
    own = tuple(detail["loc"])
    return (*own, *detail["ctx"]["keys"]) if detail["type"] == _PLACED else own


def _places(file: Path | None, keys: Sequence[Sequence[int | str]]) -> list[str]:
    """Returns for each of `keys` where it stands in `file`, in words; empty where that cannot be said."""
    text = None
    if file is not None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = file.read_text(encoding="utf-8")
    found = [place_of(text, key) if text is not None else None for key in keys]
    return [f"line {place[0]}, column {place[1]}: " if place is not None else "" for place in found]


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


def own_faults(details: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of the faults that pydantic found those that are not only there because of another: entries that could not be
    read are missing from their list, and a key that is misspelt is missing by its right name."""
    places = [tuple(detail["loc"]) for detail in details]
    unknown = {tuple(one["loc"])[:-1]: str(one["loc"][-1]) for one in details if one["type"] == "extra_forbidden"}

    def follows(detail: Mapping[str, Any]) -> bool:
        place = tuple(detail["loc"])
        if detail["type"] == "missing" and place:
            return bool(difflib.get_close_matches(unknown.get(place[:-1], ""), [str(place[-1])], cutoff=0.5))
        within = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        return detail["type"] == "too_short" and within

    return [detail for detail in details if not follows(detail)]


def fault(model: type[BaseModel] | None, place_of: tuple[int | str, ...], detail: Mapping[str, Any]) -> str:
    """Describes a fault that pydantic found: its place, and for an unknown key the nearest known one.

    `model`: the model that was read, None where that is not known; `place_of`: the fault's place in it; `detail`:
    pydantic's own error.
    """
    place = ".".join(str(part) for part in place_of)
    if detail["type"] == "extra_forbidden":
        return f"unknown key '{place}'{_suggestion(model, place_of) if model is not None else ''}"
    message = _in_words(detail)
    return f"'{place}': {message}" if place else message


def _in_words(detail: Mapping[str, Any]) -> str:
    """Says what is wrong with a value, to somebody who writes YAML and not Python."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "too_short":
        return f"has {context['actual_length']} entries, and needs at least {context['min_length']}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind == "union_tag_invalid":
        return f"'{context['discriminator'].strip(chr(39))}' must be one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{context['discriminator']} is missing"
    return _WORDS.get(kind) or str(detail["msg"]).removeprefix("Value error, ")


def _suggestion(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    known = _keys_at(model, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (known here: {', '.join(sorted(known))})" if known else ""


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Lists the keys of the model nested at `path`; none where the path leads to no single model."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is not None and part in current.model_fields:
            current = _nested_model(current.model_fields[str(part)].annotation)
    return list(current.model_fields) if current is not None else []


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (nested := _nested_model(argument)) is not None:
            return nested
    return None
