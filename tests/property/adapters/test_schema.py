"""Our evaluator of JSON schemas beside the plain `jsonschema` library, on small schemas and values."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError as Refused
from referencing import Registry

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.compiled import SchemaError, compile_schema

names = st.sampled_from(["a", "b", "c", "ab"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 6)
    | st.sampled_from([0.5, 1.0, 2.0, 1e20, -0.0])
    | st.text("ab1 ", max_size=4)
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
sizes = st.integers(0, 4)
# Patterns that mean the same in Python, in ECMA-262 and in RE2.
patterns = st.sampled_from(["a", "^a", "b$", "^[ab]+$", "^(a+)+$", "1|b", "^a{2,3}$", "[^a]", "", "^b?1"])
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
references = st.sampled_from(["#/$defs/a", "#/$defs/b", "#", "#named", "#/properties/a", "#dynamic"])


def keywords_of(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    by_name = st.dictionaries(names, inner, max_size=2)
    many = st.lists(inner, min_size=1, max_size=2)
    return {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(values, max_size=3),
        "const": values,
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 2.0]),
        "maximum": st.integers(-1, 4) | st.just(1.5),
        "exclusiveMinimum": st.integers(-1, 4),
        "maxLength": sizes,
        "minLength": sizes,
        "pattern": patterns,
        "maxItems": sizes,
        "minItems": sizes,
        "uniqueItems": st.booleans(),
        "contains": inner,
        "minContains": st.integers(0, 2),
        "maxContains": sizes,
        "prefixItems": many,
        "items": inner,
        "maxProperties": sizes,
        "minProperties": sizes,
        "required": st.lists(names, max_size=2, unique=True),
        "properties": by_name,
        "patternProperties": st.dictionaries(patterns, inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=2),
        "dependentSchemas": by_name,
        "allOf": many,
        "anyOf": many,
        "oneOf": many,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "unevaluatedItems": inner,
        "unevaluatedProperties": inner,
    }


KEYWORDS = sorted(keywords_of(st.booleans()))


@st.composite
def schemas(draw: st.DrawFn, depth: int, least: int = 0) -> Any:
    """A schema of a few keywords, `depth` in each other."""
    if depth == 0:
        return draw(st.booleans() | st.builds(lambda to: {"$ref": to}, references) | st.builds(dict, type=types))
    chosen = draw(st.lists(st.sampled_from(KEYWORDS), min_size=least, max_size=3, unique=True))
    known = keywords_of(schemas(depth - 1))
    return {name: draw(known[name]) for name in chosen}


@st.composite
def documents(draw: st.DrawFn) -> Any:
    schema = draw(schemas(2, 1))
    defs: dict[str, Any] = {
        "a": draw(schemas(0)),
        "b": draw(schemas(1)),
        "named": {"$anchor": "named", "type": draw(types)},
        "dynamic": {"$dynamicAnchor": "dynamic", "properties": {"a": {"$dynamicRef": "#dynamic"}}},
    }
    return {**schema, "$defs": defs, "properties": {"a": True, **schema.get("properties", {})}}


def theirs(schema: Any, value: Any) -> bool | None:
    """What the library says; None where it gives up."""
    try:
        return Draft202012Validator(schema, registry=Registry()).is_valid(value)
    except RecursionError:
        return None


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), values)
def test_it_says_of_any_value_what_the_library_says(schema: Any, value: Any) -> None:
    compiled = compile_schema(schema)
    try:
        ours = not compiled.faults(value, StepBudget(100_000), 1)
    except BudgetSpent:
        # Only a schema that leads back to itself at the same value takes so much.
        assert "$ref" in str(schema)
        return
    known = theirs(schema, value)
    assert known is None or ours is known


wrong = st.sampled_from(
    """type enum required properties items pattern multipleOf maxLength allOf $ref $anchor $defs uniqueItems title $id
    dependentRequired if minimum patternProperties $comment""".split()  # noqa: SIM905
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(wrong, values, min_size=1, max_size=2))
def test_what_the_metaschema_refuses_is_refused(schema: dict[str, Any]) -> None:
    said = why_not(schema)
    try:
        Draft202012Validator.check_schema(schema)
    except Refused:
        assert said
    else:
        # References are looked up here and patterns compiled, and there they are not.
        assert not said or "leads" in said or "pattern" in said


def why_not(schema: Any) -> str:
    """Why a schema is refused; empty where it is not."""
    try:
        compile_schema(schema)
    except SchemaError as error:
        return error.message
    return ""
