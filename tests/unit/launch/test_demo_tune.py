"""The score of the walk from raw tickets to a revision, and its sizes."""

import json
from pathlib import Path

import pytest

from patchbay.launch.demo_tune import Size
from patchbay.launch.demo_tune_score import is_right, read_rows
from tests.unit.demo.endpoint import Reply, said, serving

SYSTEM = {"role": "system", "content": "Fields as JSON."}


def rows(folder: Path, name: str, count: int) -> Path:
    path = folder / name
    lines = [
        {
            "messages": [
                SYSTEM,
                {"role": "user", "content": f"{name} ticket {number}"},
                {"role": "assistant", "content": json.dumps({"number": number})},
            ]
        }
        for number in range(count)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"a": 1, "b": 2}', True),
        (' {"b":2,"a":1} ', True),
        ('{"a": 1, "b": "2"}', False),
        ('{"a": 1, "b": 2', False),
        ("", False),
    ],
)
def test_an_answer_is_right_where_it_is_the_same_json(answer: str, right: bool) -> None:
    assert is_right(answer, '{"a": 1, "b": 2}') is right


def test_held_out_rows_are_asked_after_the_shown_examples(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def answer(body: dict[str, object]) -> Reply:
        messages = body["messages"]
        assert isinstance(messages, list)
        seen.append([f"{message['role']}: {message['content']}" for message in messages])
        number = int(messages[-1]["content"].rpartition(" ")[2])
        return said(json.dumps({"number": number if number else -1}))

    scored = read_rows(rows(tmp_path, "train", 5), rows(tmp_path, "test", 9), 4)
    with serving(answer) as server:
        assert scored.share(server.url, "tickets", 2) == 0.75
    assert len(seen) == 4
    assert seen[0][0] == "system: Fields as JSON."
    assert seen[0][1:5] == ["user: train ticket 0", 'assistant: {"number": 0}', *seen[0][3:5]]
    assert sorted(turns[-1] for turns in seen) == [f"user: test ticket {number}" for number in range(4)]


@pytest.mark.parametrize("steps", [20, 24, 60, 200])
def test_the_training_is_killed_after_a_checkpoint_and_before_its_end(steps: int) -> None:
    size = Size(rows=600, steps=steps, examples=8)
    assert 2 * size.every < size.killed_at < steps
    assert size.killed_at < 3 * size.every
