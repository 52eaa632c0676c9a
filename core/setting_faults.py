"""Faults in a configuration: all that can be told of one at once, each with its place and what to write instead."""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from patchbay.core.errors import ConfigError, PlacedFault
from patchbay.core.nearest import is_slip, nearest
from patchbay.core.yaml_text import places_of

Keys = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)
_MAPPING: Final = "must be a mapping, which has a key and a value in each line"
_LIST: Final = "must be a list"
_TEXT: Final = "must be a text (in quotes, where it looks like a number)"
_WHOLE: Final = "must be a whole number"
_NUMBER: Final = "must be a number"
_SWITCH: Final = "must be true or false"
# What is wrong with a value, by pydantic's name for it.
_WORDS: Final = {
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
_PLACED: Final = "placed"
_MOST_ROUNDS: Final = 8
_GLUED: Final = re.compile(r"(?P<key>[A-Za-z_][A-Za-z0-9_-]*):(?=[^\s/])")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a configuration. `keys`: where it stands, empty for no place; `words`: what is wrong, and what to do,
    without a full stop; `whole`: whether the words name the place themselves."""

    keys: Keys
    words: str
    whole: bool = False

    def __str__(self) -> str:
        return self.words if self.whole or not self.keys else f"'{'.'.join(map(str, self.keys))}': {self.words}"


@dataclass(frozen=True, slots=True)
class Examined(Generic[M]):
    """Settings that were examined. `settings`: those of all that is in order, None where too little is; `faults`: of
    the rest; `cut`: where that stood, which the settings are without."""

    settings: M | None
    faults: tuple[Fault, ...] = ()
    cut: frozenset[Keys] = frozenset()

    def with_more(self, faults: Collection[Fault]) -> tuple[Fault, ...]:
        """Returns the faults, and those of `faults` that were found later and do not only follow from the first."""
        return (*self.faults, *(one for one in faults if not _follows(one, self.cut)))


def refusal(source: str, faults: Sequence[Fault], *, file: Path | None) -> ConfigError:
    """Returns the error that lists `faults` in the order of `file`, each with its line and column there, if any."""
    listed = tuple(sorted(_with_places(faults, _text_of(file)), key=_in_file))
    if len(listed) == 1:
        return ConfigError(f"{source}: {listed[0]}.", faults=listed)
    return ConfigError("\n  ".join([f"{source} has {len(listed)} faults:", *map(str, listed)]), faults=listed)


def placed(keys: Sequence[str | int], words: str) -> PydanticCustomError:
    """Returns the error by which a model's validator refuses what stands at `keys` below the model."""
    return placed_faults([Fault(tuple(keys), words)])


def placed_faults(faults: Sequence[Fault]) -> PydanticCustomError:
    """Returns the error by which a model's validator refuses all that `faults` tell, their places below the model."""
    return PydanticCustomError(
        _PLACED,
        "{words}",
        {"words": "; ".join(one.words for one in faults), "faults": tuple((one.keys, one.words) for one in faults)},
    )


def examine(
    model: type[M], data: Mapping[str, Any], context: Mapping[str, Any], stand_ins: Mapping[str, Any]
) -> Examined[M]:
    """Validates `data` as a `model`, and once more without what is wrong in it, until nothing new is found: what a
    later check finds is told with what an earlier one did.

    A fault that only follows from a part that was left out is not told. `context`: for the model's validators;
    `stand_ins`: what is read in place of keys at the top that are missing, or had to be left out.
    """
    faults, cut = list[Fault](), frozenset[Keys]()
    for _ in range(_MOST_ROUNDS):
        spare = {key: value for key, value in stand_ins.items() if (key,) in cut}
        given = spare | _without(data, cut)
        try:
            return Examined(model.model_validate(given, context=context), tuple(faults), cut)
        except ValidationError as error:
            found = [_in_data(one, data, cut) for one in _faults_of(model, error.errors(), given)]
        faults += [one for one in found if not _follows(one, cut)]
        missing = {(one.keys[0],) for one in found if one.keys[:1] and one.keys[0] in stand_ins.keys() - data.keys()}
        more = cut | missing | {_there(one.keys, data) for one in found} - {()}
        if more == cut:
            break
        cut = more
    return Examined(None, tuple(faults), cut)


def glued_key(value: object, known: Collection[str]) -> str | None:
    """Returns the key that `value` begins with where it is a text such as `port:80`, without a space after the colon,
    which YAML takes for one word; None where it is none of the `known` keys, or something else."""
    found = _GLUED.match(value) if isinstance(value, str) else None
    return found["key"] if found is not None and found["key"] in known else None


def own_faults(details: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of the faults that pydantic found those that are not only there because of another: entries that could not be
    read are missing from their list, and a key that is misspelt is missing by its right name."""
    places = [tuple(detail["loc"]) for detail in details]
    unknown = {tuple(one["loc"])[:-1]: str(one["loc"][-1]) for one in details if one["type"] == "extra_forbidden"}

    def follows(detail: Mapping[str, Any]) -> bool:
        place = tuple(detail["loc"])
        if detail["type"] == "missing" and place:
            return is_slip(unknown.get(place[:-1], ""), str(place[-1]))
        within = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        return detail["type"] == "too_short" and within

    return [detail for detail in details if not follows(detail)]


def fault(model: type[BaseModel] | None, place_of: tuple[int | str, ...], detail: Mapping[str, Any]) -> str:
    """Describes a fault that pydantic found: its place, and for an unknown key the nearest known one.

    `model`: the model that was read, None where that is not known; `place_of`: the fault's place in it; `detail`:
    pydantic's own error.
    """
    return str(_fault_of(model, place_of, detail))


def _fault_of(
    model: type[BaseModel] | None, keys: Keys, detail: Mapping[str, Any], data: Mapping[str, Any] | None = None
) -> Fault:
    told = keys if data is None else _without_kinds(keys, data)
    if detail["type"] == "extra_forbidden":
        suggestion = _suggestion(model, keys) if model is not None else ""
        return Fault(told, f"unknown key '{'.'.join(map(str, told))}'{suggestion}", whole=True)
    return Fault(told, _in_words(detail) + _glue_hint(model, keys, detail))


def _faults_of(
    model: type[BaseModel], details: Sequence[Mapping[str, Any]], data: Mapping[str, Any]
) -> Iterator[Fault]:
    """Yields what pydantic found in `data`; one error of ours may stand for several faults."""
    for detail in own_faults(details):
        own = tuple(detail["loc"])
        if detail["type"] == _PLACED:
            at = _without_kinds(own, data)
            yield from (Fault((*at, *keys), words) for keys, words in detail["ctx"]["faults"])
        else:
            yield _fault_of(model, own, detail, data)


def _without_kinds(keys: Keys, data: Any) -> Keys:
    """Returns a place in `data` without the kinds that pydantic names in it: `guards.g.action` for
    `guards.g.rules.action`, as a file says `kind: rules` beside `action`."""
    told, is_new = Keys(), True
    for key in keys:
        if is_new and isinstance(data, Mapping) and data.get("kind") == key:
            is_new = False
            continue
        told, is_new = (*told, key), True
        data = data[key] if _has(data, key) else None
    return told


def _glue_hint(model: type[BaseModel] | None, keys: Keys, detail: Mapping[str, Any]) -> str:
    if model is None or _WORDS.get(detail["type"]) != _MAPPING:
        return ""
    inner = _model_at(model, keys)
    key = glued_key(detail.get("input"), inner.model_fields if inner is not None else ())
    return f"; write '{key}: …', with a space after the colon" if key is not None else ""


def _without(data: Any, cut: Collection[Keys], at: Keys = ()) -> Any:
    """Returns `data` without what stands at the places `cut`."""
    if not cut:
        return data
    if isinstance(data, Mapping):
        return {key: _without(value, cut, (*at, key)) for key, value in data.items() if (*at, key) not in cut}
    if isinstance(data, list | tuple):
        return [_without(value, cut, (*at, place)) for place, value in enumerate(data) if (*at, place) not in cut]
    return data


def _in_data(fault: Fault, data: Any, cut: Collection[Keys]) -> Fault:
    """Returns a fault of what is left of `data` with its place in the whole: entries of lists have moved up."""
    at, keys = Keys(), Keys()
    for key in fault.keys:
        moved = key
        if isinstance(data, list | tuple) and isinstance(key, int):
            left = [place for place in range(len(data)) if (*at, place) not in cut]
            moved = left[key] if key < len(left) else key
        keys = (*keys, moved)
        if _has(data, moved):
            at, data = (*at, moved), data[moved]
    return Fault(keys, fault.words, fault.whole)


def _there(keys: Keys, data: Any) -> Keys:
    """Returns the place in `data` that `keys` lead to, without those that it does not have."""
    at = Keys()
    for key in keys:
        if _has(data, key):
            at, data = (*at, key), data[key]
    return at


def _has(data: Any, key: str | int) -> bool:
    if isinstance(data, Mapping):
        return key in data
    return isinstance(data, list | tuple) and isinstance(key, int) and 0 <= key < len(data)


def _follows(fault: Fault, cut: Collection[Keys]) -> bool:
    """Says whether a fault that was found once `cut` was left out may be there only because of that: it stands there,
    or around it, or beside it by a name that was misspelt, or says that there is nothing of that name."""
    for one in cut:
        short = min(len(one), len(fault.keys))
        beside = bool(short) and one[:-1] == fault.keys[:-1] and is_slip(str(one[-1]), str(fault.keys[-1]))
        if one[:short] == fault.keys[:short] or beside or f"'{one[-1]}'" in fault.words:
            return True
    return False


def _text_of(file: Path | None) -> str | None:
    if file is not None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return file.read_text(encoding="utf-8")
    return None


def _in_file(fault: PlacedFault) -> tuple[bool, int, int]:
    return fault.line is None, fault.line or 0, fault.column or 0


def _with_places(faults: Sequence[Fault], text: str | None) -> Iterator[PlacedFault]:
    places = places_of(text, [one.keys for one in faults]) if text is not None else [None] * len(faults)
    for fault, place in zip(faults, places, strict=True):
        line, column = place or (None, None)
        yield PlacedFault(key=".".join(map(str, fault.keys)), line=line, column=column, message=str(fault))


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
    inner = _model_at(model, location[:-1])
    known = list(inner.model_fields) if inner is not None else []
    if (near := nearest(str(location[-1]), known)) is not None:
        return f" (did you mean '{near}'?)"
    return f" (known here: {', '.join(sorted(known))})" if known else ""


def _model_at(model: type[BaseModel], path: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Returns the model nested at `path`; None where the path leads to no single model."""
    current: type[BaseModel] | None = model
    choice: Sequence[type[BaseModel]] = ()
    for part in path:
        kind = next((one for one in choice if _is_kind(one, part)), None)
        if kind is not None:
            current, choice = kind, ()
        elif current is not None and part in current.model_fields:
            choice = list(_nested_models(current.model_fields[str(part)].annotation))
            current = next(iter(choice), None)
    return current


def _is_kind(model: type[BaseModel], name: int | str) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and name in getattr(field.annotation, "__args__", ())


def _nested_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in getattr(annotation, "__args__", ()):
        yield from _nested_models(argument)
