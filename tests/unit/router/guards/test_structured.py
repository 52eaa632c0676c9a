import time
from typing import Any

import pytest

from patchbay.guards.structured import LONGEST, check, reask

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array"}},
    "required": ["name"],
    "additionalProperties": False,
}
OPEN_TO_ALL: dict[str, Any] = {}
STRING: dict[str, Any] = {"type": "string"}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada"}',
        ' \n{"name":"Ada",  "tags": []}\n\n',
        '{"name": "```json\\n{}\\n```"}',
        '{"name": "a", "tags": ["[1,]", "{"]}',
        '{"name":"\\ud83d\\ude00"}',
    ],
)
def test_a_valid_answer_is_not_touched(text: str) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired, checked.errors) == (True, text, (), ())


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"name": "Ada"}\n```',
        '```\n{"name": "Ada"}\n```\n',
        '~~~~ JSON\r\n{"name": "Ada"}\r\n~~~~',
        '```json {"name": "Ada"}```',
        '```json\n{"name": "Ada"}',
        'Here it is:\n\n```json\n{"name": "Ada"}\n```\nAnything else?',
        'First run\n```sh\nls\n```\nthen\n```json\n{"name": "Ada"}\n```',
        '   ```json\n{"name": "Ada"}\n   ```',
    ],
)
def test_fences_do_not_make_an_answer_invalid(text: str) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired) == (True, '{"name": "Ada"}', ("fences",))


@pytest.mark.parametrize(
    "text",
    [
        'Sure! {"name": "Ada"}',
        '{"name": "Ada"} I hope that helps.',
        'As [1] says, {name} is meant: {"name": "Ada"}. See [2], [3].',
        'With x in (0, 1] and "quotes": {"name": "Ada"} }',
        'With [x] in [1, 2, ...] and {y: 1}: {"name": "Ada"}',
        'Here: ```{"name": "Ada"}``` (one line)',
        '\ufeff{"name": "Ada"}',
        '- [ ] todo\n{"name": "Ada"}',
    ],
)
def test_prose_around_a_value_does_not_make_an_answer_invalid(text: str) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired) == (True, '{"name": "Ada"}', ("prose around",))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('{"name": "Ad', '{"name": "Ad"}'),
        ('{"name": "Ada", "age', '{"name": "Ada"}'),
        ('{"name": "Ada", "age":', '{"name": "Ada"}'),
        ('{"name": "Ada", ', '{"name": "Ada"}'),
        ('{"name": "Ada", "tags": [true, fal', '{"name": "Ada", "tags": [true]}'),
        ('{"name": "Ada", "tags": [[{"a": {', '{"name": "Ada", "tags": [[{"a": {}}]]}'),
        ('{"name": "Ada\\', '{"name": "Ada"}'),
        ('{"name": "Ada\\u00', '{"name": "Ada"}'),
        ('{"name": "Ada\\ud83d\\ude0', '{"name": "Ada"}'),
        ('{"name": "Ada\\\\', '{"name": "Ada\\\\"}'),
        ('{"name": "Ada\\\\\\', '{"name": "Ada\\\\"}'),
        ('{"name": "Ada\\\\ud83d', '{"name": "Ada\\\\ud83d"}'),
        ('{"name": "Ada\\"', '{"name": "Ada\\""}'),
    ],
)
def test_a_truncated_answer_is_closed_after_what_was_whole(text: str, whole: str) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired) == (True, whole, ("brackets",))


@pytest.mark.parametrize("number", ["12", "-", "1.", "1e", "0"])
def test_a_number_that_may_lack_digits_is_not_passed_on(number: str) -> None:
    assert check('{"name": "Ada", "age": ' + number, PERSON).text == '{"name": "Ada"}'
    needed = {**PERSON, "required": ["age"]}
    assert not check('{"name": "Ada", "age": ' + number, needed).value_ok


def test_a_number_after_which_something_came_is_kept() -> None:
    assert check('{"name": "Ada", "age": 12\n', PERSON).text == '{"name": "Ada", "age": 12}'


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('{"name": "Ada",}', '{"name": "Ada"}'),
        ('{"name": "Ada", "tags": [1, [2 , ], ], }', '{"name": "Ada", "tags": [1, [2  ] ] }'),
        ('{"name": ",]", "tags": [",}",],}', '{"name": ",]", "tags": [",}"]}'),
    ],
)
def test_trailing_commas_go_and_those_in_strings_stay(text: str, whole: str) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired) == (True, whole, ("trailing comma",))


def test_repairs_add_up_in_the_order_of_their_cost() -> None:
    checked = check('Here:\n```json\nThe result {"name": "Ada", "tags": [1, 2,], "age"\n```', PERSON)
    assert checked.text == '{"name": "Ada", "tags": [1, 2]}'
    assert checked.repaired == ("fences", "prose around", "brackets", "trailing comma")


def test_a_part_of_a_truncated_answer_is_not_taken_for_the_whole() -> None:
    assert check('[{"a": 1}, {"a": 2', OPEN_TO_ALL).text == '[{"a": 1}, {}]'
    assert check("Here you go: [n", OPEN_TO_ALL).text == "[]"
    assert check('"see [1] and {', STRING).text == '"see [1] and {"'


@pytest.mark.parametrize(
    "text",
    [
        """{'name': "x", "inner": {}}""",
        '{"a": 1, b: {"c": 2}}',
        'Here: {"a": 1, // one\n "b": {"c": 2}}',
        "[" * 300 + "]" * 300 + "]",
        "```json\n{a: [1, 2]}\n```",
    ],
)
def test_a_part_of_a_malformed_answer_is_not_taken_for_the_whole(text: str) -> None:
    checked = check(text, OPEN_TO_ALL)
    assert (checked.value_ok, checked.text) == (False, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "no JSON",
        "{'name': 'Ada'}",
        '{"name": "Ada"]',
        '{"name" "Ada"}',
        "[1,,2]",
        "NaN",
        '{"name": tru3}',
        "-",
    ],
)
def test_what_cannot_be_repaired_stays_as_it_is(text: str) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired) == (False, text, ())
    assert checked.errors[0].startswith("$: not JSON: ")


def test_an_answer_that_is_json_and_not_what_was_asked_for_is_told_and_not_repaired() -> None:
    checked = check('{"age": "7", "tags": 1}', PERSON)
    assert (checked.value_ok, checked.repaired) == (False, ())
    assert checked.errors == (
        "$.age: '7' is not of type 'integer'",
        "$.tags: 1 is not of type 'array'",
        "$: 'name' is a required property",
    )


def test_errors_of_the_value_are_told_rather_than_that_there_is_text_around_it() -> None:
    assert check('Sure: {"name": 1}', PERSON).errors == ("$.name: 1 is not of type 'string'",)


def test_errors_are_few_and_short_and_keep_what_is_wrong() -> None:
    schema = {"type": "array", "items": STRING}
    checked = check("[" + ",".join(['{"a": "' + "x" * 1000 + '"}'] * 50) + "]", schema)
    assert len(checked.errors) == 8
    assert all(len(error) < 200 and error.endswith("is not of type 'string'") for error in checked.errors)


def test_a_constant_that_json_does_not_have_is_no_answer() -> None:
    assert not check("[Infinity]", OPEN_TO_ALL).value_ok
    assert not check('{"a": NaN,}', OPEN_TO_ALL).value_ok


def test_a_schema_that_leads_elsewhere_is_not_followed() -> None:
    checked = check("1", {"$ref": "http://127.0.0.1:9/schema.json"})
    assert not checked.value_ok
    assert checked.errors[0].startswith("schema: ")


def test_a_schema_s_own_references_are_followed() -> None:
    tree = {"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}
    assert check("[[], [[]]", tree).text == "[[], [[]]]"
    assert not check("[1]", tree).value_ok


def test_numbers_and_nesting_beyond_what_can_be_compared_are_told() -> None:
    assert check("9" * 400, {"multipleOf": 0.1}).value_ok
    assert not check("1e999", {"multipleOf": 0.1}).value_ok
    assert not check("9" * 5000, OPEN_TO_ALL).value_ok
    assert not check("[" * 100_000 + "]" * 100_000, OPEN_TO_ALL).value_ok
    assert not check("[" * 200 + "]" * 200, {"items": {"$ref": "#"}, "maxItems": 0}).value_ok


def test_a_text_that_is_too_long_is_not_looked_at() -> None:
    assert check('"' + "a" * (LONGEST - 2) + '"', STRING).value_ok
    assert check('"' + "a" * (LONGEST - 1) + '"', STRING).errors == (f"$: longer than {LONGEST} characters",)


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        '{"',
        "[1,",
        '{"a":',
        '["',
        "\\",
        '"\\',
        "```\n",
        "\n~~~\n```",
        "[ ",
        "{} ",
        "[1,],",
        '"["',
        "[-",
        '[""',
        "t[",
    ],
)
def test_no_text_costs_more_than_linear_time(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        started = time.process_time()
        check(text, {"type": "object", "required": ["missing"]})
        return time.process_time() - started

    small = min(seconds(25_000) for _ in range(3))
    # Eight times as much text: 64 times the time if the cost were quadratic.
    assert min(seconds(200_000) for _ in range(2)) < 24 * max(small, 0.005)


def test_a_model_is_asked_again_with_what_was_wrong() -> None:
    message = reask(("$.age: '7' is not of type 'integer'", "$: 'name' is a required property"))
    assert "- $.age: '7' is not of type 'integer'\n- $: 'name' is a required property\n" in message


A, B = '{"name": "A"}', '{"name": "B"}'


@pytest.mark.parametrize(
    ("text", "taken", "repaired", "dropped"),
    [
        (f"{A} {B}", B, ("prose around",), True),
        (f"```\n{A}\n```\nand\n```json\n{B}\n```", B, ("fences",), True),
        (f"```json\n{A}\n```\nNo: {B}", B, ("prose around",), True),
        (f'{B} {{"name": 1}}', B, ("prose around",), False),
        (f'{B} {{"name": "Ad', B, ("prose around",), False),
        (f"<think>{A}</think>{B}", B, ("reasoning",), False),
        (f"so I say {A}</think>\n\n```json\n{B}\n```", B, ("reasoning", "fences"), False),
        (f"{B}<think>{A}", B, ("reasoning",), False),
        (f"It looks like {B}. For example: {A}", B, ("prose around",), False),
        (f"For example: {A}", A, ("prose around",), False),
        (f'Here\'s the schema {{"type": "object"}} and answer {B}', B, ("prose around",), False),
        ('{"name": "Ada", "age', '{"name": "Ada"}', ("brackets",), True),
        ('{"name": "Ada", "age": 1', '{"name": "Ada"}', ("brackets",), True),
        ('{"name": "Ada", ', '{"name": "Ada"}', ("brackets",), False),
        ('{"name": "Ada"', '{"name": "Ada"}', ("brackets",), False),
    ],
)
def test_the_last_whole_value_that_fits_is_taken_and_what_is_lost_is_said(
    text: str, taken: str, repaired: tuple[str, ...], dropped: bool
) -> None:
    checked = check(text, PERSON)
    assert (checked.value_ok, checked.text, checked.repaired, checked.dropped) == (True, taken, repaired, dropped)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29"], ["2023-02-29", "not a date", "2024-2-9", "2024-02-29T", "\uff12024-02-28"]),
        ("time", ["12:00:00Z", "23:59:60.5+01:30"], ["12:00:00", "24:00:00Z", "12:60:00Z"]),
        (
            "date-time",
            ["2024-02-29T12:00:00Z", "2024-02-29t12:00:00.123-08:00"],
            ["2024-02-30T12:00:00Z", "2024-02-29"],
        ),
        ("duration", ["P3W", "P1Y2M3DT4H", "PT5S"], ["P", "PT", "3W", "P1D2M"]),
        ("email", ["a.b+c@example.org", "a@[127.0.0.1]"], ["a", "a@", "@b", "a b@c.org", "a@-b.org"]),
        ("hostname", ["example.org", "a"], ["", "-a.org", "a..b", "a" * 64, "a_b"]),
        ("ipv4", ["127.0.0.1"], ["127.0.0.256", "::1", "127.1", "127.0.0.1/8"]),
        ("ipv6", ["::1", "fe80::1"], ["127.0.0.1", ":1", "fe80::1%eth0"]),
        ("uuid", ["9f3a61c0-7be4-4258-9f3a-61c07be4d258"], ["9f3a61c07be442589f3a61c07be4d258", "x"]),
        ("uri", ["https://example.org/a?b=%20#c", "urn:a:b"], ["/a", "a b:c", "http://a b", "http://a/%2"]),
        ("something-of-ours", ["", "x"], []),
    ],
)
def test_a_format_is_checked(name: str, good: list[str], bad: list[str]) -> None:
    schema = {"type": "string", "format": name}
    assert [text for text in good if not check(f'"{text}"', schema).value_ok] == []
    assert [text for text in bad if check(f'"{text}"', schema).value_ok] == []
    assert check("7", {"format": name}).value_ok


def test_a_value_that_is_not_of_its_format_is_told_with_its_place() -> None:
    checked = check('{"d": "soon"}', {"properties": {"d": {"format": "date"}}})
    assert checked.errors == ("$.d: 'soon' is not of the format 'date'",)
