"""Schemas and values that are made to take for ever: refused, or given up, after a bounded number of steps."""

import json
from typing import Any

import pytest

from patchbay.core.schema.budget import BudgetSpent, StepBudget
from patchbay.core.schema.compiled import SchemaError, compile_schema
from patchbay.core.schema.patterns import Pattern, PatternError

# What has no bound takes for ever.
pytestmark = pytest.mark.timeout(60)
STEPS = 20_000


def doubling(keyword: str, count: int = 30) -> dict[str, Any]:
    """Definitions each of which asks for the next one twice."""
    defs: dict[str, Any] = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(count)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{count}": {"type": "null"}}}


def objects(depth: int) -> Any:
    return json.loads('{"n":' * depth + "{}" + "}" * depth)


TREE = {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"properties": {"n": {"$ref": "#/$defs/n"}}}] * 2, "not": {}}}}
HOSTILE: dict[str, tuple[Any, Any]] = {
    "anyOf doubles": (doubling("anyOf"), "x"),
    "oneOf doubles": (doubling("oneOf"), "x"),
    "allOf doubles": ({**doubling("allOf"), "unevaluatedProperties": False}, None),
    "not doubles": (doubling("anyOf") | {"not": doubling("anyOf")}, "x"),
    "a tree": (TREE, objects(60)),
    "it leads to itself": ({"$ref": "#"}, 1),
    "it leads to itself by allOf": ({"allOf": [{"$ref": "#"}]}, 1),
    "two lead to each other": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        1,
    ),
    "dynamic references": ({"$dynamicAnchor": "x", "anyOf": [{"$dynamicRef": "#x"}, {"$dynamicRef": "#x"}]}, 1),
    "a large pattern on a long text": ({"pattern": "(a|b)*a(a|b){500}$"}, "ab" * 50_000),
    "many patterns of names": (
        {"patternProperties": {f"{n}": {} for n in range(300)}},
        {f"x{n}": 1 for n in range(900)},
    ),
    "unique items of unique items": ({"items": {"uniqueItems": True}, "uniqueItems": True}, [[list(range(99))]] * 999),
}


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
def test_what_takes_for_ever_is_given_up(case: tuple[Any, Any]) -> None:
    schema, value = case
    with pytest.raises(BudgetSpent):
        compile_schema(schema).faults(value, StepBudget(STEPS), 8)


def test_a_pattern_that_backtracks_elsewhere_takes_its_length() -> None:
    budget = StepBudget(STEPS)
    faults = compile_schema({"pattern": "^(a+)+$"}).faults("a" * 5000 + "!", budget, 8)
    assert faults
    assert budget.left > STEPS - 200


def test_numbers_whose_hashes_meet_are_not_compared_with_each_other() -> None:
    # Python's hash of a number is the rest of a division by 2**61 - 1.
    items = [number * (2**61 - 1) for number in range(20_000)]
    assert compile_schema({"uniqueItems": True}).faults(items, StepBudget(10 * len(items)), 8) == []


def test_numbers_of_thousands_of_digits_are_divided_in_no_time() -> None:
    assert compile_schema({"multipleOf": 1e-300}).faults(10**4000, StepBudget(100), 8) == []
    assert compile_schema({"multipleOf": 0.1}).faults(0.3, StepBudget(100), 8) == []
    assert compile_schema({"multipleOf": 2}).faults(1e999, StepBudget(100), 8)


REFUSED: dict[str, tuple[Any, str]] = {
    "look-ahead": ({"properties": {"a/b": {"pattern": "^(?=a)"}}}, "/properties/a~1b/pattern"),
    "look-behind": ({"items": {"pattern": "(?<!a)b"}}, "/items/pattern"),
    "a back-reference": ({"patternProperties": {r"(a)\1": {}}}, "/patternProperties"),
    "a named back-reference": ({"pattern": r"(?<x>a)\k<x>"}, "/pattern"),
    "too large a pattern": ({"pattern": r"\p{L}{1,1000}"}, "/pattern"),
    "too many large patterns": ({"anyOf": [{"pattern": f"x{{0,{900 - n}}}y{{900}}"} for n in range(90)]}, "/anyOf/"),
    "a schema elsewhere": ({"$ref": "http://127.0.0.1:1/x.json"}, "/$ref"),
    "a file": ({"allOf": [{"$ref": "file:///etc/passwd"}]}, "/allOf/0/$ref"),
    "nowhere": ({"$ref": "#/$defs/none"}, "/$ref"),
    "too deep": (json.loads('{"items":' * 200 + "{}" + "}" * 200), "/items/"),
    "too many values": ({"enum": list(range(30_000))}, ""),
    "a list of items": ({"items": [{}]}, "/items"),
    "no type": ({"properties": {"a": {"type": "str"}}}, "/properties/a/type"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(case: tuple[Any, str]) -> None:
    schema, place = case
    with pytest.raises(SchemaError) as refused:
        compile_schema(schema)
    assert refused.value.place.startswith(place)


@pytest.mark.parametrize(
    ("pattern", "found", "other"),
    [
        (r"^\d+$", "12", "1\uff12"),
        (r"^\s$", "\u00a0", "\u200b"),
        (r"^[\S]$", "a", "\ufeff"),
        ("^.$", "é", "\u2028"),
        ("a$", "a", "a\n"),
        (r"^[\w-.]+$", "a-.", "+"),
        ("^[^]$", "\n", "ab"),
        ("[]", None, "a"),
        (r"^\u{1F600}\ud83d\ude00$", "😀😀", "😀"),
        (r"^\cJ\x41\0$", "\nA\x00", "A"),
        ("^a{,2}$", "a{,2}", "aa"),
        ("^[[a]]$", "[]", "a"),
        (r"^(?<year>\d{4})\/$", "2024/", "2024"),
        (r"^\p{Letter}\p{Script=Greek}$", "éα", "éa"),
        (r"^[\b]$", "\b", "b"),
    ],
)
def test_patterns_mean_what_they_do_in_ecma_262(pattern: str, found: str | None, other: str) -> None:
    compiled = Pattern(pattern)
    assert found is None or compiled.found_in(found)
    assert not compiled.found_in(other)


@pytest.mark.parametrize("pattern", ["(", "[a", "a**", "a{2,1}", r"\q", "[z-a]", "\\", r"\u12", "(?>a)", "a" * 3000])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern)


def test_half_a_surrogate_pair_in_a_text_is_no_fault() -> None:
    assert Pattern("^a.$").found_in("a\ud800")
