"""Compiled JSON schemas (draft 2020-12), of bounded size, so that they can come from anybody.

Errors in a schema name their place. No reference leads out of the schema: nothing is ever fetched. `format` is
checked where `formats.py` has it, and other annotations are not, as the draft has it.

Source: https://json-schema.org/draft/2020-12 (core and validation).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urljoin

from patchbay.core.errors import PatchbayError
from patchbay.core.schema.budget import StepBudget
from patchbay.core.schema.evaluate import Keyword, Node, SchemaEvaluation, SchemaReference, faults_of
from patchbay.core.schema.keywords import KEYWORDS, comes_last
from patchbay.core.schema.patterns import Pattern, PatternError
from patchbay.core.schema.values import TYPES, frozen, is_number

# Limits of a schema: its JSON values, how deeply they are nested, and the instructions of all its patterns together.
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
# Hints for keywords that had another form in earlier drafts.
_DRAFT_HINTS: Final[Mapping[str, str]] = {
    "items": "a list of schemas is 'prefixItems' in draft 2020-12",
    "exclusiveMaximum": "a number in draft 2020-12, in place of 'maximum'",
    "exclusiveMinimum": "a number in draft 2020-12, in place of 'minimum'",
}


class SchemaError(PatchbayError):
    """Raised for a schema that cannot be used. `place`: a JSON pointer to the fault; `what`: the fault."""

    def __init__(self, *, place: str, what: str) -> None:
        super().__init__(f"{_shown_place(place)}: {what}")
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A compiled schema.

    `root`: its node; `tracks`: whether evaluated parts are kept track of; `heavy`: whether checking even a short value
    may take long.
    """

    root: Node
    tracks: bool
    heavy: bool

    def faults(self, value: Any, budget: StepBudget, most: int) -> list[tuple[str, str]]:
        """Checks `value`, and returns its faults, the first `most` of them, as place (`$.name`) and message.

        `budget`: pays for the steps. Raises BudgetSpent.
        """
        return faults_of(self.root, value, SchemaEvaluation(budget=budget, tracks=self.tracks, most=most))


def compile_schema(schema: Any) -> Schema:
    """Compiles `schema`, a JSON value. Raises SchemaError."""
    _check_size(schema)
    return _Compiler(schema).compiled()


def _check_size(schema: Any) -> None:
    """Raises SchemaError where the schema is too large or too deep. Level by level, so that Python's stack is no
    limit."""
    left, level = _MOST_VALUES, [(schema, "")]
    for _ in range(_DEEPEST):
        children: list[tuple[Any, str]] = []
        for value, place in level:
            left -= 1
            # The children found so far will have to be counted, too: without this one level could take all memory.
            if left < len(children):
                raise SchemaError(place="", what=f"it has more than {_MOST_VALUES} values in it: make it smaller")
            if isinstance(value, dict):
                children += [(item, f"{place}/{_escaped(str(name))}") for name, item in value.items()]
            elif isinstance(value, list | tuple):
                children += [(item, f"{place}/{number}") for number, item in enumerate(value)]
        if not children:
            return
        level = children
    raise SchemaError(place=level[0][1], what=f"it is nested more than {_DEEPEST} deep: use '$ref' for what repeats")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _shown_place(place: str) -> str:
    place = place if place.isprintable() else ascii(place)
    return f"at {place if len(place) <= 120 else '…' + place[-119:]}" if place else "at the top"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A subschema as it is written. `value`: its JSON; `pointer`: a JSON pointer to it; `base`: the URI that its
    references are relative to."""

    value: Any
    pointer: str
    base: str


class _Compiler:
    """Compiles one schema: all subschemas first, then the references, which may lead to any of them."""

    def __init__(self, schema: Any) -> None:
        self._root = _Place(value=schema, pointer="", base="")
        self._nodes: dict[tuple[int, str], Node] = {}
        self._resources: dict[str, _Place] = {"": self._root}
        self._anchors: dict[tuple[str, str], _Place] = {}
        self._dynamic_anchors: dict[tuple[str, str], Node] = {}
        self._references: list[tuple[SchemaReference, str, _Place, bool]] = []
        self._patterns: dict[str, Pattern] = {}
        self._instructions = 0
        # Keywords that may make checking a short value slow.
        self._heavy_parts = 0
        self._tracks = False

    def compiled(self) -> Schema:
        root = self._node(self._root)
        while self._references:
            self._resolve(*self._references.pop())
        return Schema(root=root, tracks=self._tracks, heavy=self._heavy_parts > 0)

    def _node(self, place: _Place) -> Node:
        value = place.value
        if isinstance(value, bool):
            return Node(place.base, value)
        if not isinstance(value, dict):
            raise SchemaError(place=place.pointer, what="it must be a schema: an object, true or false")
        # By identity: a schema may refer to itself, and each subschema is compiled once for each base.
        known = self._nodes.get((id(value), place.base))
        if known is not None:
            return known
        base = self._base(place)
        node = Node(base, None)
        self._nodes[id(value), place.base] = node
        rebased = _Place(value=value, pointer=place.pointer, base=base)
        self._register_anchors(rebased, node)
        node.checks = [check for name in sorted(value, key=comes_last) for check in self._keyword(name, rebased)]
        return node

    def _base(self, place: _Place) -> str:
        """Returns the base URI of a subschema, and registers it as a resource where it has an `$id`."""
        identifier: Any = place.value.get("$id")
        if "$id" not in place.value:
            return place.base
        self._require(isinstance(identifier, str) and "#" not in identifier.removesuffix("#"), place, "$id", "a URI")
        base: str = urljoin(place.base, identifier.removesuffix("#"))
        self._resources[base] = _Place(value=place.value, pointer=place.pointer, base=base)
        return base

    def _register_anchors(self, place: _Place, node: Node) -> None:
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = place.value.get(keyword)
            if keyword not in place.value:
                continue
            valid = isinstance(name, str) and name.replace("-", "a").replace(".", "a").isidentifier()
            self._require(valid, place, keyword, "a name")
            self._anchors[place.base, name] = place
            if keyword == "$dynamicAnchor":
                self._dynamic_anchors[place.base, name] = node

    def _require(self, valid: bool, place: _Place, keyword: str, what: str) -> None:
        """Raises SchemaError at a keyword whose value is not `valid`, with `what` it must be."""
        if not valid:
            hint = f" ({_DRAFT_HINTS[keyword]})" if keyword in _DRAFT_HINTS else ""
            raise SchemaError(place=f"{place.pointer}/{_escaped(keyword)}", what=f"it must be {what}{hint}")

    def _child(self, place: _Place, *names: str | int) -> _Place:
        value, pointer = place.value, place.pointer
        for name in names:
            value, pointer = value[name], f"{pointer}/{_escaped(str(name))}"
        return _Place(value=value, pointer=pointer, base=place.base)

    def _keyword(self, name: str, place: _Place) -> list[tuple[Keyword, Any]]:
        """Returns a keyword's check with its compiled value; nothing for an annotation."""
        if not isinstance(name, str):
            raise SchemaError(place=place.pointer, what="its keywords must be strings")
        argument = self._argument(name, place)
        keyword = KEYWORDS.get(name)
        return [] if keyword is None else [(keyword, argument)]

    def _argument(self, name: str, place: _Place) -> Any:
        """Compiles the value of a keyword. Raises SchemaError where it has the wrong form."""
        value = place.value[name]
        if name in _ONE_SCHEMA:
            self._note_cost(name, 1)
            return self._with_neighbours(name, self._node(self._child(place, name)), place)
        if name in _SCHEMA_LISTS:
            self._require(isinstance(value, list) and bool(value), place, name, "a list of schemas")
            self._note_cost(name, len(value))
            return [self._node(self._child(place, name, number)) for number in range(len(value))]
        if name in _SCHEMAS_BY_NAME:
            self._require(isinstance(value, dict), place, name, "an object of schemas")
            nodes = {key: self._node(self._child(place, name, key)) for key in value}
            if name == "patternProperties":
                return [(self._pattern(key, place, name), node) for key, node in nodes.items()]
            return nodes
        return self._plain_value(name, value, place)

    def _note_cost(self, name: str, count: int) -> None:
        """Notes a keyword that needs tracking, or that may evaluate a value several times. `count`: its subschemas."""
        self._tracks = self._tracks or name.startswith("unevaluated")
        self._heavy_parts += name in ("anyOf", "oneOf", "allOf", "not", "if", "contains") and count > 0

    def _with_neighbours(self, name: str, node: Node, place: _Place) -> Any:
        """Returns a subschema with the neighbouring keywords' values that its keyword depends on."""
        schema = place.value
        if name == "items":
            before = schema.get("prefixItems")
            return node, len(before) if isinstance(before, list) else 0
        if name == "additionalProperties":
            names, patterns = schema.get("properties"), schema.get("patternProperties")
            compiled = [
                self._pattern(key, place, "patternProperties") for key in patterns or () if isinstance(key, str)
            ]
            return node, frozenset(names if isinstance(names, dict) else ()), compiled
        if name == "contains":
            least, most = schema.get("minContains", 1), schema.get("maxContains")
            return node, least, most
        if name == "if":
            branches = {key: self._node(self._child(place, key)) for key in ("then", "else") if key in schema}
            return node, branches.get("then"), branches.get("else")
        return node

    def _plain_value(self, name: str, value: Any, place: _Place) -> Any:
        if name in ("$ref", "$dynamicRef"):
            self._require(isinstance(value, str), place, name, "a reference")
            self._heavy_parts += 1
            reference = SchemaReference(Node(place.base, True))
            self._references.append((reference, value, self._child(place, name), name == "$dynamicRef"))
            return reference
        if name == "pattern":
            self._require(isinstance(value, str), place, name, "a regular expression")
            return self._pattern(value, place, name)
        if name == "type":
            types = [value] if isinstance(value, str) else value
            known = isinstance(types, list) and all(isinstance(kind, str) and kind in TYPES for kind in types)
            self._require(
                known and bool(types) and len(set(types)) == len(types), place, name, f"of {', '.join(sorted(TYPES))}"
            )
            return types, tuple(TYPES[kind] for kind in types)
        if name == "dependentRequired":
            valid = isinstance(value, dict) and all(map(_is_names, value.values()))
            self._require(valid, place, name, "lists of names")
        for names, has_form, what in _FORMS:
            if name in names:
                self._require(has_form(value), place, name, what)
        if name in ("enum", "const"):
            return frozenset(frozen(item, _unbounded) for item in (value if name == "enum" else [value]))
        return value

    def _pattern(self, pattern: str, place: _Place, name: str) -> Pattern:
        known = self._patterns.get(pattern)
        if known is not None:
            return known
        pointer = f"{place.pointer}/{name}"
        try:
            compiled = self._patterns[pattern] = Pattern(pattern)
        except PatternError as error:
            raise SchemaError(place=pointer, what=f"the pattern {error.message}") from error
        self._instructions += compiled.size
        if self._instructions > _MOST_INSTRUCTIONS:
            raise SchemaError(
                place=pointer, what="its patterns are too large together: use minLength and maxLength for lengths"
            )
        self._heavy_parts += compiled.size > _LARGE
        return compiled

    def _resolve(self, reference: SchemaReference, target: str, place: _Place, dynamic: bool) -> None:
        uri, _, fragment = urljoin(place.base, target).partition("#")
        resource = self._resources.get(uri)
        if resource is None:
            raise SchemaError(place=place.pointer, what=f"'{target[:80]}' leads out of the schema: nothing is fetched")
        anchored = self._anchors.get((uri, unquote(fragment)))
        if fragment and not fragment.startswith("/") and anchored is None:
            raise SchemaError(place=place.pointer, what=f"'{target[:80]}' leads nowhere")
        found = anchored if anchored is not None else self._follow_pointer(resource, unquote(fragment), place)
        reference.node = self._node(found)
        if dynamic and (uri, fragment) in self._dynamic_anchors:
            reference.others = {base: node for (base, name), node in self._dynamic_anchors.items() if name == fragment}

    def _follow_pointer(self, resource: _Place, pointer: str, place: _Place) -> _Place:
        found = resource
        for part in pointer.split("/")[1:]:
            name: str | int = part.replace("~1", "/").replace("~0", "~")
            value = found.value
            if isinstance(value, list) and part.isdigit() and len(part) < 6:
                name = int(part)
            if not ((isinstance(value, dict) and name in value) or (isinstance(name, int) and name < len(value))):
                raise SchemaError(place=place.pointer, what=f"'#{pointer[:80]}' leads nowhere")
            found = self._child(found, name)
            if isinstance(found.value, dict) and isinstance(found.value.get("$id"), str):
                found = (
                    _Place(value=found.value, pointer=found.pointer, base=self._base(found))
                    if found is not resource
                    else found
                )
        return found


# A pattern with more instructions may take long on a short text.
_LARGE: Final = 200


def _unbounded(_: int) -> None:
    """Spends nothing: the values in a schema were counted when it was compiled."""


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_size(value: Any) -> bool:
    return TYPES["integer"](value) and value >= 0


def _is_positive(value: Any) -> bool:
    return is_number(value) and 0 < value < float("inf")


# Keywords, the form that their values must have, and its name in errors.
_FORMS: Final[tuple[tuple[frozenset[str], Callable[[Any], bool], str], ...]] = (
    (_STRINGS, lambda value: isinstance(value, str), "a string"),
    (_BOOLEANS | {"uniqueItems"}, lambda value: isinstance(value, bool), "true or false"),
    (_SIZES, _is_size, "a whole number that is not negative"),
    (_NUMBERS, is_number, "a number"),
    (frozenset(["multipleOf"]), _is_positive, "a number above 0"),
    (frozenset(["required"]), _is_names, "a list of names, each once"),
    (frozenset(["enum", "examples"]), lambda value: isinstance(value, list), "a list"),
)
