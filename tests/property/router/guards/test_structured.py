import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.guards.structured import check

ANY: dict[str, Any] = {}
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\[]{},:`\n😀'), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
roots = st.lists(values, max_size=4) | st.dictionaries(texts, values, max_size=4) | texts


@st.composite
def written(draw: st.DrawFn, of: st.SearchStrategy[Any]) -> tuple[Any, str]:
    value = draw(of)
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " : ")]))
    indent = draw(st.sampled_from([None, 0, 2]))
    return value, json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent, separators=separators)


def is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(is_part, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    return type(part) is type(whole) and bool(part == whole)


@settings(max_examples=300)
@given(written(roots), st.data())
def test_a_document_truncated_anywhere_parses_after_repair_and_holds_nothing_new(
    document: tuple[Any, str], data: st.DataObject
) -> None:
    value, text = document
    cut = text[: data.draw(st.integers(1, len(text)))]
    checked = check(cut, ANY)
    assert checked.value_ok
    assert is_part(json.loads(checked.text), value)
    json.loads(checked.text.encode())


@given(written(roots), st.data(), st.sampled_from(["```json\n", "Here you go: ", "```\n", "Result (see {x}):\n\n"]))
def test_a_truncated_document_with_text_before_it_is_repaired_all_the_same(
    document: tuple[Any, str], data: st.DataObject, before: str
) -> None:
    value, text = document
    if isinstance(value, str):
        value, text = [value], f"[{text}]"
    checked = check(before + text[: data.draw(st.integers(1, len(text)))], ANY)
    assert checked.value_ok
    assert is_part(json.loads(checked.text), value)


@given(written(values))
def test_a_valid_document_is_unchanged(document: tuple[Any, str]) -> None:
    checked = check(document[1], ANY)
    assert (checked.value_ok, checked.text, checked.repaired) == (True, document[1], ())


@given(
    written(values),
    st.sampled_from(["```", "````", "~~~"]),
    st.sampled_from(["", "json", " JSON", "jsonc"]),
    st.sampled_from(["", "Sure, here it is:\n\n", "\n  "]),
    st.sampled_from(["", "\n", "\n\nLet me know.\n"]),
)
def test_a_fenced_document_is_unwrapped(
    document: tuple[Any, str], fence: str, info: str, before: str, after: str
) -> None:
    checked = check(f"{before}{fence}{info}\n{document[1]}\n{fence}{after}", ANY)
    assert (checked.value_ok, checked.repaired) == (True, ("fences",))
    assert json.loads(checked.text) == document[0]


@settings(max_examples=300)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(['"', "\\", "[", "]", "{", "}", ",", ":", "1", "tru", "null", "```", "\n", " ", "u", "a"])
    ).map("".join)
)
def test_no_text_makes_it_fall_over_and_what_it_calls_valid_is(text: str) -> None:
    for schema in (ANY, {"type": "object"}, {"type": "array", "items": {"$ref": "#"}}):
        checked = check(text, schema)
        assert checked.value_ok is not bool(checked.errors)
        if checked.value_ok:
            json.loads(checked.text)
        else:
            assert (checked.text, checked.repaired) == (text, ())
