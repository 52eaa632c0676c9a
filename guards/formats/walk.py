"""The walk over the texts of a JSON document in a wire format, shared by prompts and answers. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from patchbay.guards.formats.protocol import FormatPlace


class Spot(NamedTuple):
    """The spot of a value in a document. `place`: its place in the wire format; `path`: the keys and numbers that lead
    to it; `name`: the nearest key above it, empty for keys and numbers, which have none; `within`: what `enter` said of
    the object around it; `lead`: the keys above it, as JSON writes them before a value, in JSON that a client or a
    model chose."""

    place: FormatPlace
    path: tuple[str | int, ...] = ()
    name: str = ""
    within: str = ""
    lead: str = ""


# Characters of keys that may name what is in a value.
_LEAD: Final = 200
# Takes a text and its spot. Returns the text that takes its place.
SpotVisit = Callable[[str, Spot], str]
# Takes an object and its spot. Returns what it stands for, such as its role or its type.
Enter = Callable[[Mapping[str, Any], Spot], str]


def walked(value: Any, spot: Spot, visit: SpotVisit, enter: Enter) -> Any:
    """Returns `value`, which stands at `spot`, with its texts visited.

    Texts are all strings that do not belong to the format; in what is a client's or a model's own JSON, keys and long
    numbers are as well. Where two keys become the same, both values stay.
    """
    if isinstance(value, str):
        return visit(value, spot) if value and spot.place.is_text(spot.name, value) else value
    if isinstance(value, list):
        return [walked(item, spot._replace(path=(*spot.path, at)), visit, enter) for at, item in enumerate(value)]
    if isinstance(value, dict):
        return _object(value, spot, visit, enter)
    if not spot.place.is_text_number(value):
        return value
    text = str(value)
    return value if (visited := visit(text, spot._replace(name=""))) == text else visited


def _object(value: Mapping[str, Any], spot: Spot, visit: SpotVisit, enter: Enter) -> dict[str, Any]:
    within = enter(value, spot)
    out: dict[str, Any] = {}
    for key, item in value.items():
        path = (*spot.path, key)
        is_text = key and spot.place.has_text_key(key)
        name = visit(key, Spot(spot.place, (*path, 0), "", within, spot.lead)) if is_text else key
        lead = f'{spot.lead}"{key}": '[-_LEAD:] if spot.place.kind == "free" else ""
        below = Spot(spot.place.below(key), path, key, within, lead)
        out[_unused(name, out)] = walked(item, below, visit, enter)
    return out


def _unused(key: str, out: Mapping[str, Any]) -> str:
    """Returns `key`, or another where two keys have become the same: no value may be lost."""
    if key not in out:
        return key
    return next(other for number in range(2, len(out) + 3) if (other := f"{key} {number}") not in out)
