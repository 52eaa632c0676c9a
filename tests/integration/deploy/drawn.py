"""Values drawn from a schema: as much of JSON Schema as the chart's own uses."""

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]
# Patchbay's own configuration has tests of its own: of these a few suffice.
_SAMPLES: Mapping[str, list[Any]] = {
    "RouterConfig": [
        {},
        {"access_log": True, "canary": {"metrics": "embedded"}},
        {"routes": {"ask": {"model": "sql"}}, "counters": {"timeout_s": 2}},
    ],
    "ServerConfig": [{}, {"base": {"model": "a/b"}}, {"engine": {"tensor_parallel_size": 3}, "lora": {"max_rank": 8}}],
    "DeclaredAdapter": [{"source": "s3://a/b"}, {"source": "/a", "pin": True}],
    "DeclaredCanary": [{"revision": 1}, {"revision": 2, "plan": "fast"}],
}
# Passed through as they are, and not known further.
_OPAQUE: list[Any] = [{}]
# Names that YAML takes for something else where nothing quotes them.
_NO_NAMES = ["0", "12", "1e3", "0x1f", "1.5", "true", "no", "null", "2026-01-01", "12h"]
_TEXTS = ["", "a", "it's", 'say "no"', "a: b", "{{ .Values }}", "line\nline", "# no", "1.0", "true", "é", "- x", "%"]


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that the schema accepts, but for what only its conditions refuse."""
    return _of(schema, schema["$defs"])


def _of(schema: Schema, known: Mapping[str, Schema]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return st.sampled_from(_SAMPLES[name]) if name in _SAMPLES else st.deferred(lambda: _of(known[name], known))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([_of(one, known) for one in schema["anyOf"]])
    if schema["type"] == "object":
        return _objects(schema, known)
    if schema["type"] == "array":
        return st.lists(_of(schema["items"], known), min_size=schema.get("minItems", 0), max_size=2)
    return _plain(schema)


def _plain(schema: Schema) -> st.SearchStrategy[Any]:
    if schema["type"] == "string":
        return _texts(schema)
    if schema["type"] in ("integer", "number"):
        return st.integers(schema["minimum"], schema.get("maximum", 1_000_000_000))
    return st.booleans() if schema["type"] == "boolean" else st.none()


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    pattern, least = schema.get("pattern"), schema.get("minLength", 0)
    if pattern is None:
        return st.sampled_from([text for text in _TEXTS if len(text) >= least])
    # Python's `$` lets a line's end follow.
    drawn = st.from_regex(re.compile(pattern.replace("$", r"\Z"), re.ASCII), fullmatch=True)
    odd = [text for text in _NO_NAMES if re.fullmatch(pattern, text) and len(text) >= least]
    drawn = st.one_of(st.sampled_from(odd), drawn) if odd else drawn
    return drawn.filter(lambda text: text != "latest")


@st.composite
def _objects(draw: st.DrawFn, schema: Schema, known: Mapping[str, Schema]) -> dict[str, Any]:
    named, needed = schema.get("properties", {}), schema.get("required", ())
    if not named and "additionalProperties" not in schema:
        return dict(draw(st.sampled_from(_OPAQUE)))
    most = schema.get("maxProperties", 4 if len(named) > 4 else len(named))
    least = max(schema.get("minProperties", 0), len(needed))
    optional = sorted(set(named) - set(needed))
    chosen = draw(
        st.lists(st.sampled_from(optional), unique=True, min_size=least - len(needed), max_size=most - len(needed))
        if optional and most > len(needed)
        else st.just([])
    )
    found = {key: draw(_of(named[key], known)) for key in [*needed, *chosen]}
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict):
        names = _of({"type": "string", **_named(schema["propertyNames"], known)}, known)
        found |= draw(st.dictionaries(names, _of(rest, known), min_size=least, max_size=2))
    return found


def _named(schema: Schema, known: Mapping[str, Schema]) -> Schema:
    return known[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else schema
