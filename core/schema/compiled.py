"""A JSON schema (draft 2020-12), compiled: what is wrong with it is told by its place, and how large it may be is
bounded, so that it can come from anybody.

No reference leads out of the schema: nothing is ever fetched. `format` and the other annotations are not checked, as
the draft has it.

Source: https://json-schema.org/draft/2020-12 (core and validation).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urljoin

from patchbay.core.errors import PatchbayError
from patchbay.core.schema.budget import StepBudget
from patchbay.core.schema.evaluate import Holder, Keyword, Node, SchemaEvaluation, held
from patchbay.core.schema.keywords import KEYWORDS, last_of_all
from patchbay.core.schema.patterns import Pattern, PatternError
from patchbay.core.schema.values import TYPES, frozen, is_number

# JSON values in a schema; of these in each other; instructions of all its patterns together.
_MOST_VALUES: Final = 20_000
_DEEPEST: Final = 100
_MOST_INSTRUCTIONS: Final = 60_000
_STRINGS: Final = frozenset(
    ["$schema", "$comment", "title", "description", "format", "contentEncoding", "contentMediaType"]
)
_BOOLEANS: Final = frozenset(["deprecated", "readOnly", "writeOnly"])
_SCHEMAS_BY_NAME: Final = frozenset(["$defs", "definitions", "properties", "patternProperties", "dependentSchemas"])
_SCHEMA_LISTS: Final = frozenset(["allOf", "anyOf", "oneOf", "prefixItems"])
_ONE_SCHEMA: Final = frozenset(
    [
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_SIZES: Final = frozenset(
    [
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
    ]
)
_NUMBERS: Final = frozenset(["maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"])
_ELSEWHERE: Final[Mapping[str, str]] = {
    "items": "a list of schemas is 'prefixItems' in draft 2020-12",
    "exclusiveMaximum": "a number in draft 2020-12, in place of 'maximum'",
    "exclusiveMinimum": "a number in draft 2020-12, in place of 'minimum'",
}


class SchemaError(PatchbayError):
    """A schema that cannot be used. `place`: a JSON pointer to what is wrong."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{_shown_place(place)}: {what}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema. `heavy`: whether holding a short value to it may still take long."""

    root: Node
    tracks: bool
    heavy: bool

    def faults(self, value: Any, budget: StepBudget, most: int) -> list[tuple[str, str]]:
        """What is wrong with `value`: where (`$.name`), and what, the first `most` of it. Raises BudgetSpent."""
        return held(self.root, value, SchemaEvaluation(budget, self.tracks, most))


def compile_schema(schema: Any) -> Schema:
    """The compiled `schema`, a JSON value. Raises SchemaError."""
    _check_size(schema)
    return _Compiler(schema).compiled()


def _check_size(schema: Any) -> None:
    left, level = _MOST_VALUES, [(schema, "")]
    for _ in range(_DEEPEST):
        below: list[tuple[Any, str]] = []
        for value, place in level:
            left -= 1
            if left < len(below):
                raise SchemaError("", f"it has more than {_MOST_VALUES} values in it: make it smaller")
            if isinstance(value, dict):
                below += [(one, f"{place}/{_escaped(str(name))}") for name, one in value.items()]
            elif isinstance(value, list | tuple):
                below += [(one, f"{place}/{number}") for number, one in enumerate(value)]
        if not below:
            return
        level = below
    raise SchemaError(level[0][1], f"it is nested more than {_DEEPEST} deep: use '$ref' for what repeats")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _shown_place(place: str) -> str:
    place = place if place.isprintable() else ascii(place)
    return f"at {place if len(place) <= 120 else '…' + place[-119:]}" if place else "at the top"


@dataclass(frozen=True, slots=True)
class _Place:
    """A subschema as it is written. `base`: the URI that its references are relative to."""

    value: Any
    pointer: str
    base: str


class _Compiler:
    def __init__(self, schema: Any) -> None:
        self._root = _Place(schema, "", "")
        self._nodes: dict[tuple[int, str], Node] = {}
        self._resources: dict[str, _Place] = {"": self._root}
        self._anchors: dict[tuple[str, str], _Place] = {}
        self._dynamic: dict[tuple[str, str], Node] = {}
        self._references: list[tuple[Holder, str, _Place, bool]] = []
        self._patterns: dict[str, Pattern] = {}
        self._instructions = 0
        self._weights = 0
        self._tracks = False

    def compiled(self) -> Schema:
        root = self._node(self._root)
        while self._references:
            self._resolve(*self._references.pop())
        return Schema(root, self._tracks, self._weights > 0)

    def _node(self, place: _Place) -> Node:
        value = place.value
        if isinstance(value, bool):
            return Node(place.base, value)
        if not isinstance(value, dict):
            raise SchemaError(place.pointer, "it must be a schema: an object, true or false")
        known = self._nodes.get((id(value), place.base))
        if known is not None:
            return known
        base = self._base(place)
        node = Node(base, None)
        self._nodes[id(value), place.base] = node
        own = _Place(value, place.pointer, base)
        self._name(own, node)
        node.checks = [check for name in sorted(value, key=last_of_all) for check in self._keyword(name, own)]
        return node

    def _base(self, place: _Place) -> str:
        given: Any = place.value.get("$id")
        if "$id" not in place.value:
            return place.base
        self._must(isinstance(given, str) and "#" not in given.removesuffix("#"), place, "$id", "a URI")
        base: str = urljoin(place.base, given.removesuffix("#"))
        self._resources[base] = _Place(place.value, place.pointer, base)
        return base

    def _name(self, place: _Place, node: Node) -> None:
        for keyword in ("$anchor", "$dynamicAnchor"):
            given = place.value.get(keyword)
            if keyword not in place.value:
                continue
            sound = isinstance(given, str) and given.replace("-", "a").replace(".", "a").isidentifier()
            self._must(sound, place, keyword, "a name")
            self._anchors[place.base, given] = place
            if keyword == "$dynamicAnchor":
                self._dynamic[place.base, given] = node

    def _must(self, sound: bool, place: _Place, keyword: str, what: str) -> None:
        if not sound:
            hint = f" ({_ELSEWHERE[keyword]})" if keyword in _ELSEWHERE else ""
            raise SchemaError(f"{place.pointer}/{_escaped(keyword)}", f"it must be {what}{hint}")

    def _below(self, place: _Place, *names: str | int) -> _Place:
        value, pointer = place.value, place.pointer
        for name in names:
            value, pointer = value[name], f"{pointer}/{_escaped(str(name))}"
        return _Place(value, pointer, place.base)

    def _keyword(self, name: str, place: _Place) -> list[tuple[Keyword, Any]]:
        """What a keyword has checked: nothing where it only says something."""
        if not isinstance(name, str):
            raise SchemaError(place.pointer, "its keywords must be strings")
        argument = self._argument(name, place)
        keyword = KEYWORDS.get(name)
        return [] if keyword is None else [(keyword, argument)]

    def _argument(self, name: str, place: _Place) -> Any:
        """The compiled value of a keyword. Raises SchemaError where it is not as it should be."""
        value = place.value[name]
        if name in _ONE_SCHEMA:
            self._weigh(name, 1)
            return self._beside(name, self._node(self._below(place, name)), place)
        if name in _SCHEMA_LISTS:
            self._must(isinstance(value, list) and bool(value), place, name, "a list of schemas")
            self._weigh(name, len(value))
            return [self._node(self._below(place, name, number)) for number in range(len(value))]
        if name in _SCHEMAS_BY_NAME:
            self._must(isinstance(value, dict), place, name, "an object of schemas")
            made = {key: self._node(self._below(place, name, key)) for key in value}
            if name == "patternProperties":
                return [(self._pattern(key, place, name), one) for key, one in made.items()]
            return made
        return self._plain(name, value, place)

    def _weigh(self, name: str, count: int) -> None:
        self._tracks = self._tracks or name.startswith("unevaluated")
        self._weights += name in ("anyOf", "oneOf", "allOf", "not", "if", "contains") and count > 0

    def _beside(self, name: str, node: Node, place: _Place) -> Any:
        """A subschema with what else its keyword is told by the schema."""
        schema = place.value
        if name == "items":
            before = schema.get("prefixItems")
            return node, len(before) if isinstance(before, list) else 0
        if name == "additionalProperties":
            names, patterns = schema.get("properties"), schema.get("patternProperties")
            found = [self._pattern(key, place, "patternProperties") for key in patterns or () if isinstance(key, str)]
            return node, frozenset(names if isinstance(names, dict) else ()), found
        if name == "contains":
            least, most = schema.get("minContains", 1), schema.get("maxContains")
            return node, least, most
        if name == "if":
            branches = ((key, self._node(self._below(place, key))) for key in ("then", "else") if key in schema)
            made = dict(branches)
            return node, made.get("then"), made.get("else")
        return node

    def _plain(self, name: str, value: Any, place: _Place) -> Any:
        if name in ("$ref", "$dynamicRef"):
            self._must(isinstance(value, str), place, name, "a reference")
            self._weights += 1
            holder = Holder(Node(place.base, True))
            self._references.append((holder, value, self._below(place, name), name == "$dynamicRef"))
            return holder
        if name == "pattern":
            self._must(isinstance(value, str), place, name, "a regular expression")
            return self._pattern(value, place, name)
        if name == "type":
            given = [value] if isinstance(value, str) else value
            sound = (
                isinstance(given, list) and bool(given) and all(isinstance(one, str) and one in TYPES for one in given)
            )
            self._must(sound and len(set(given)) == len(given), place, name, f"of {', '.join(sorted(TYPES))}")
            return given, tuple(TYPES[one] for one in given)
        if name == "dependentRequired":
            self._must(isinstance(value, dict) and all(map(_is_names, value.values())), place, name, "lists of names")
        for names, is_sound, what in _SHAPES:
            if name in names:
                self._must(is_sound(value), place, name, what)
        if name in ("enum", "const"):
            return frozenset(frozen(one, _unbounded) for one in (value if name == "enum" else [value]))
        return value

    def _pattern(self, pattern: str, place: _Place, name: str) -> Pattern:
        known = self._patterns.get(pattern)
        if known is not None:
            return known
        where = f"{place.pointer}/{name}"
        try:
            made = self._patterns[pattern] = Pattern(pattern)
        except PatternError as error:
            raise SchemaError(where, f"the pattern {error.message}") from error
        self._instructions += made.size
        if self._instructions > _MOST_INSTRUCTIONS:
            raise SchemaError(where, "its patterns are too large together: use minLength and maxLength for lengths")
        self._weights += made.size > _LARGE
        return made

    def _resolve(self, holder: Holder, reference: str, place: _Place, dynamic: bool) -> None:
        uri, _, fragment = urljoin(place.base, reference).partition("#")
        resource = self._resources.get(uri)
        if resource is None:
            raise SchemaError(place.pointer, f"'{reference[:80]}' leads out of the schema: nothing is fetched")
        named = self._anchors.get((uri, unquote(fragment)))
        if fragment and not fragment.startswith("/") and named is None:
            raise SchemaError(place.pointer, f"'{reference[:80]}' leads nowhere")
        found = named if named is not None else self._pointed(resource, unquote(fragment), place)
        holder.node = self._node(found)
        if dynamic and (uri, fragment) in self._dynamic:
            holder.others = {base: node for (base, name), node in self._dynamic.items() if name == fragment}

    def _pointed(self, resource: _Place, pointer: str, place: _Place) -> _Place:
        found = resource
        for part in pointer.split("/")[1:]:
            name: str | int = part.replace("~1", "/").replace("~0", "~")
            value = found.value
            if isinstance(value, list) and part.isdigit() and len(part) < 6:
                name = int(part)
            if not ((isinstance(value, dict) and name in value) or (isinstance(name, int) and name < len(value))):
                raise SchemaError(place.pointer, f"'#{pointer[:80]}' leads nowhere")
            found = self._below(found, name)
            if isinstance(found.value, dict) and isinstance(found.value.get("$id"), str):
                found = _Place(found.value, found.pointer, self._base(found)) if found is not resource else found
        return found


# A pattern with more instructions may take long on a short text.
_LARGE: Final = 200


def _unbounded(_: int) -> None:
    """What a schema holds was counted already."""


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)


def _is_size(value: Any) -> bool:
    return TYPES["integer"](value) and value >= 0


def _is_positive(value: Any) -> bool:
    return is_number(value) and 0 < value < float("inf")


_SHAPES: Final[tuple[tuple[frozenset[str], Callable[[Any], bool], str], ...]] = (
    (_STRINGS, lambda value: isinstance(value, str), "a string"),
    (_BOOLEANS | {"uniqueItems"}, lambda value: isinstance(value, bool), "true or false"),
    (_SIZES, _is_size, "a whole number that is not negative"),
    (_NUMBERS, is_number, "a number"),
    (frozenset(["multipleOf"]), _is_positive, "a number above 0"),
    (frozenset(["required"]), _is_names, "a list of names, each once"),
    (frozenset(["enum", "examples"]), lambda value: isinstance(value, list), "a list"),
)
