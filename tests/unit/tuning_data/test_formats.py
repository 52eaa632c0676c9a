"""Every format that people have becomes the same canonical rows; what is none is told."""

from typing import Any

import pytest

from patchbay.tuning.data.formats import RecordReading, convert
from patchbay.tuning.data.rows import Row, RowFault, read_row, row_of

ASKED = {"role": "user", "content": "Hi"}
SAID = {"role": "assistant", "content": "Hello"}
CHAT = {"messages": [ASKED, SAID]}
CALL = {"type": "function", "function": {"name": "find", "arguments": {"id": 3}}}


def converted(record: Any, **how: Any) -> Row:
    return convert(record, RecordReading(**how)).row


@pytest.mark.parametrize(
    ("record", "name", "expected"),
    [
        (CHAT, "chat", CHAT),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, SAID]}, "chat", CHAT),
        ({"messages": '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]'}, "chat", CHAT),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}, "sharegpt", CHAT),
        ({"instruction": "Hi", "input": "", "output": "Hello"}, "alpaca", CHAT),
        ({"prompt": "Hi", "completion": "Hello"}, "prompt-completion", CHAT),
        ({"question": "Hi", "answer": "Hello"}, "prompt-completion", CHAT),
        ({"prompt": [ASKED], "completion": [SAID]}, "prompt-completion", CHAT),
        ({"input": "Hi", "output": "Hello"}, "prompt-completion", CHAT),
        (
            {"prompt": "Hi", "chosen": "Hello", "rejected": "No"},
            "preference",
            {"prompt": [ASKED], "chosen": [SAID], "rejected": [{"role": "assistant", "content": "No"}]},
        ),
        (
            {"chosen": [ASKED, SAID], "rejected": [ASKED, {"role": "assistant", "content": "No"}]},
            "preference",
            {"prompt": [ASKED], "chosen": [SAID], "rejected": [{"role": "assistant", "content": "No"}]},
        ),
        (
            {"prompt": "Hi", "completion": "Hello", "label": "up"},
            "vote",
            {"prompt": [ASKED], "completion": [SAID], "label": True},
        ),
        (
            {"prompt": "Hi", "response": "Hello", "label": 0},
            "vote",
            {"prompt": [ASKED], "completion": [SAID], "label": False},
        ),
    ],
)
def test_each_format_is_found_and_becomes_its_canonical_row(record: Any, name: str, expected: Any) -> None:
    found = convert(record, RecordReading())
    assert (found.format, found.row.document()) == (name, expected)


def test_an_instruction_and_its_input_are_one_question() -> None:
    row = converted({"instruction": "Sum up.", "input": "A long text.", "output": "Text.", "system": "Be short."})
    assert [message["content"] for message in row.parts["messages"]] == [
        "Be short.",
        "Sum up.\n\nA long text.",
        "Text.",
    ]


def test_calls_of_tools_stay_with_arguments_as_objects() -> None:
    tool = {"name": "find", "parameters": {"type": "object"}}
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"id": 3}'}}
    turns = [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "found"},
        SAID,
    ]
    row = converted({"messages": turns, "tools": [tool]})
    assert row.parts["messages"][1]["tool_calls"] == [{"id": "1", **CALL}]
    assert row.tools == ({"type": "function", "function": tool},)
    assert read_row(row.line()) == row


def test_columns_are_mapped_and_an_object_is_learnt_as_json() -> None:
    record = {"body": "Hi", "fields": {"name": "Ivo", "n": 1}, "who": 7, "output": "another thing"}
    columns = {"prompt": "body", "completion": "fields", "group": "who"}
    row = converted(record, columns=columns, system="Fields.")
    assert row.answers == ('{"name": "Ivo", "n": 1}',)
    assert row.marks.group == "7"
    assert row.parts["messages"][0] == {"role": "system", "content": "Fields."}


def test_keys_without_a_place_are_told_and_marks_are_kept() -> None:
    found = convert({**CHAT, "id": 5, "tags": "a, b", "mood": "good"}, RecordReading(marks={"language": "en"}))
    assert found.unused == ("mood",)
    assert (found.row.marks.id, found.row.marks.tags, found.row.marks.language) == ("5", ("a", "b"), "en")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([1], "no object"),
        ({"mood": 1}, "format is not known: its keys are mood"),
        ({"messages": []}, "messages is empty"),
        ({"messages": [ASKED]}, "ends with a message of 'user'"),
        ({"messages": [{"role": "robot", "content": "x"}, SAID]}, "messages[0].role is 'robot'"),
        ({"messages": [{"role": "user"}, SAID]}, "messages[0] has no content"),
        ({"messages": [ASKED, {"role": "assistant", "content": "\ud800"}]}, "half of a character"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, SAID]}, "images"),
        ({"prompt": "Hi", "chosen": "A", "rejected": "A"}, "the same"),
        ({"chosen": "A", "rejected": "B"}, "needs a prompt"),
        ({"prompt": "Hi", "completion": "A", "label": "maybe"}, "label is 'maybe'"),
        (
            {"messages": [ASKED, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]},
            "no JSON",
        ),
    ],
)
def test_what_is_no_row_is_told(record: Any, why: str) -> None:
    with pytest.raises(RowFault) as raised:
        converted(record)
    assert why in str(raised.value)


def test_the_same_row_has_one_line_however_its_keys_are_ordered() -> None:
    turned = {"messages": [{"content": "Hi", "role": "user"}, {"content": "Hello", "role": "assistant"}], "id": "a"}
    assert row_of(turned).line() == row_of({"id": "a", **CHAT}).line()
    assert row_of(turned).digest == row_of(CHAT).digest
