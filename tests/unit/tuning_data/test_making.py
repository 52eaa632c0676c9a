"""Data sets are cleaned, split, mixed, compared, added to and written out, each as the next revision."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError, DataError
from patchbay.tuning.data.augmenting import WAYS, augmented
from patchbay.tuning.data.comparing import compared
from patchbay.tuning.data.mixing import MixPlan, drawn, quotas
from patchbay.tuning.data.rows import Row, row_of
from patchbay.tuning.data.splitting import group_key
from patchbay.tuning.data.store import DataSets
from patchbay.tuning.data.synthesizing import most_synthetic, written_row
from tests.unit.demo.endpoint import Reply, serving
from tests.unit.demo.endpoint import said as teacher_said
from tests.unit.tuning_data.conftest import Run, pair, write_lines

Said = Callable[..., Any]


def row(asked: str, answer: str = "Yes.", **marks: Any) -> Row:
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return row_of({"messages": turns, **marks})


def test_cleaning_lists_each_change_and_names_its_parent(said: Said, project: Path) -> None:
    rows = [
        pair("One \u200bquestion  \r\n", "An answer."),
        pair("One question", "An answer."),
        pair("Mail ada@example.org", "An answer, too.", id="b"),
        pair("Another question", " "),
    ]
    said("import", str(write_lines(project / "a.jsonl", rows)), "--name", "notes")
    made = said("clean", "notes", "--redact", "EMAIL", "--drop", "empty")
    assert (made["name"], made["parents"], made["rows"]) == ("notes@2", ["notes@1"], 2)
    changes = [json.loads(line) for line in (project / "notes-1.changes.jsonl").read_text().splitlines()]
    assert [(one["row"], one["what"]) for one in changes] == [
        (1, "zero-width"),
        (1, "whitespace"),
        (2, "dropped: duplicate"),
        (3, "redacted: EMAIL"),
        (4, "whitespace"),
        (4, "dropped: empty"),
    ]
    assert changes[3] == {
        "split": "train",
        "row": 3,
        "what": "redacted: EMAIL",
        "place": "messages[0].content",
        "id": "b",
    }
    first = said("show", "notes@2", "--rows", "9")["first"]
    assert [one["messages"][0]["content"] for one in first] == ["One question", "Mail [EMAIL]"]


def test_rows_that_leak_or_contradict_are_dropped(said: Said, project: Path) -> None:
    asked = "When does the green kettle of the brand Brisk arrive at my house in Ghent"
    (project / "d").mkdir()
    write_lines(
        project / "d" / "train.jsonl",
        [pair(asked, "Soon."), pair("Blue or red?", "Blue."), pair("Blue or red?", "Red.")],
    )
    write_lines(project / "d" / "test.jsonl", [pair(f"{asked} please", "Later.")])
    said("import", "d", "--name", "notes")
    made = said("clean", "notes", "--drop", "leakage", "--drop", "contradictions")
    assert made["splits"] == {"test": 1}
    assert made["changes"] == {"dropped: leakage": 1, "dropped: contradiction": 2}


def test_unknown_wishes_are_told_with_what_was_meant(run: Run, project: Path) -> None:
    run("import", str(write_lines(project / "a.jsonl", [pair("a", "b")])), "--name", "notes")
    assert "did you mean 'EMAIL'" in run("clean", "notes", "--redact", "EMAI", code=2).stderr
    assert "did you mean 'empty'" in run("clean", "notes", "--drop", "emty", code=2).stderr
    assert "did you mean 'typo'" in run("augment", "notes", "--way", "typos", code=2).stderr
    assert "80/10/10" in run("split", "notes", "--shares", "many", code=2).stderr
    assert "no source" in run("mix", "notes=0.5x", "--name", "m", code=2).stderr
    assert "'patchbay" not in run("mix", "notes=1", "--cap", "note=5", "--name", "m", code=2).stdout


def test_rows_stay_in_their_split_when_a_data_set_grows(said: Said, data: DataSets, project: Path) -> None:
    rows = [pair(f"Where is parcel {n * 7919} of customer {n}, sent in week {n % 52}?", "There.") for n in range(120)]
    said("import", str(write_lines(project / "a.jsonl", rows[:80])), "--name", "notes")
    assert said("split", "notes")["name"] == "notes@2"
    said("import", str(write_lines(project / "b.jsonl", rows[60:] + rows[:60])), "--name", "notes")
    made = said("split", "notes")
    assert (made["name"], made["like"]) == ("notes@4", "notes@2")
    before, after = (
        {group_key(row): split for split, row in data.rows(data.registry.datasets.resolve(name))}
        for name in ("notes@2", "notes@4")
    )
    assert {key: after[key] for key in before} == before
    assert set(after.values()) == {"train", "validation", "test"}


def test_a_mixture_keeps_its_weights_its_caps_and_what_was_held_out(said: Said, project: Path) -> None:
    for name, count in (("own", 70), ("general", 60)):
        write_lines(project / f"{name}.jsonl", [pair(f"{name} question {n}", f"answer {n}") for n in range(count)])
        said("import", f"{name}.jsonl", "--name", name, "--licence", name)
    made = said("mix", "own@1=0.7", "general=0.3", "--name", "blend")
    assert made["sources"] == {"own@1": 70, "general": 30}
    assert (made["licence"], made["parents"]) == ("own AND general", ["own@1", "general@1"])
    capped = said("mix", "own=0.7", "general=0.3", "--cap", "general=6", "--name", "small")
    assert capped["sources"] == {"own": 14, "general": 6}
    shown = said("sample", "small", "--rows", "100")
    assert Counter(one["source"] for one in shown) == {"own": 14, "general": 6}


def test_a_source_that_is_too_small_is_told_or_repeated() -> None:
    plan = MixPlan(weights={"a": 0.5, "b": 0.5}, rows=20)
    with pytest.raises(DataError, match="b has 4 rows, and 10 are wanted"):
        quotas(plan, {"a": 50, "b": 4})
    repeated = MixPlan(weights={"a": 0.5, "b": 0.5}, rows=20, repeat=True)
    assert quotas(repeated, {"a": 50, "b": 4}) == {"a": 10, "b": 10}
    counts = Counter(one.asked for one in drawn([row(f"q{n}") for n in range(4)], 10, repeated, "b"))
    assert sorted(counts.values()) == [2, 2, 3, 3]


def test_a_larger_draw_holds_the_smaller_one_and_answers_are_balanced() -> None:
    rows = [row(f"q{n}", "common" if n % 10 else "rare") for n in range(50)]
    plan = MixPlan(weights={"a": 1}, seed=4)
    few, many = ([one.asked for one in drawn(rows, count, plan, "a")] for count in (10, 30))
    assert many[:10] == few
    balanced = drawn(rows, 50, MixPlan(weights={"a": 1}, balance=5), "a")
    assert Counter(one.answers[0] for one in balanced) == {"common": 5, "rare": 5}


def test_the_difference_tells_what_was_added_removed_changed_and_moved() -> None:
    before = [("train", row("a")), ("train", row("b", id="1")), ("train", row("c")), ("train", row("c"))]
    after = [("test", row("a")), ("train", row("B", id="1")), ("train", row("c")), ("train", row("d"))]
    found = compared(before, after)
    assert (found.same, found.changed) == (2, ["1"])
    assert [(was, now, one.asked) for was, now, one in found.moved] == [("train", "test", "a")]
    assert [one.asked for _, one in found.added] == ["d"]
    assert [one.asked for _, one in found.removed] == ["c"]


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_what_is_exported_is_the_same_data_set_when_it_is_imported(ending: str, said: Said, project: Path) -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "find", "arguments": {"id": 3, "deep": [1, {"a": None}]}},
    }
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "ü"},
        {"role": "assistant", "content": "Hello"},
    ]
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
    rows = [
        {"messages": turns, "tools": tools, "tags": ["x"]},
        {"messages": [turns[0], turns[3]], "safety": True, "id": "a"},
    ]
    first = said("import", str(write_lines(project / "a.jsonl", rows)), "--name", "notes")
    said("export", "notes", f"out.{ending}")
    again = said("import", f"out.{ending}", "--name", "again")
    assert again["digest"] == first["digest"]


def test_csv_has_questions_with_their_answers_and_refuses_more(run: Run, said: Said, project: Path) -> None:
    run("import", str(write_lines(project / "a.jsonl", [pair('He said "no", twice', "A,\nb")])), "--name", "notes")
    said("export", "notes", "out.csv")
    assert said("import", "out.csv", "--name", "again")["digest"] == said("show", "notes")["digest"]
    long = {"messages": [{"role": role, "content": "x"} for role in ("user", "assistant", "user", "assistant")]}
    run("import", str(write_lines(project / "b.jsonl", [long])), "--name", "long")
    assert "Row 1 is no question" in run("export", "long", "out.csv", code=1).stderr
    assert "ends with .jsonl" in run("export", "long", "out.xml", code=2).stderr


def test_augmented_rows_ask_otherwise_answer_the_same_and_stay_together() -> None:
    rows = [
        row("Could you tell me, please, where order A12345 of Svetlana Okonkwo went? I am waiting. Thank you.", id="a")
    ]
    made = list(augmented(rows, tuple(WAYS), copies=4, seed=1))
    assert 3 <= len(made) <= 4
    assert made == list(augmented(rows, tuple(WAYS), copies=4, seed=1))
    assert {one.answers for one in made} == {rows[0].answers}
    assert rows[0].asked not in {one.asked for one in made}
    assert {group_key(one) for one in made} == {group_key(rows[0])}
    [typed] = augmented(rows, ("typo",), copies=1, seed=1)
    assert "A12345 of Svetlana Okonkwo" in typed.asked
    assert typed.marks.tags == ("augmented:typo",)


ASKED = "Where is the parcel with the green kettle that I ordered in {place}?"
SEEDS = [pair(ASKED.format(place=place), f'{{"place": "{place}"}}') for place in ("Ghent", "Porto", "Graz", "Cork")]
WRITTEN = (
    '{"prompt": "My lamp of the maker Lumenaut arrived broken in Leeds", "completion": {"place": "Leeds"}}',
    "I cannot help with that.",
    '{"prompt": "My lamp of the maker Lumenaut arrived broken in Leeds", "completion": {"place": "Leeds"}}',
    '{"prompt": "The chair for my office in Turku has five legs", "completion": "I cannot help with that request."}',
    '{"prompt": "Nobody in Split has seen the pump", "completion": {"town": "Split"}}',
    '{"prompt": "Write to ada@example.org about the tent in Turku", "completion": {"place": "Turku"}}',
    '{"prompt": "Two blenders came to Malmo and one is missing its lid", "completion": {"place": "Malmo"}}',
)


def test_a_teachers_rows_are_filtered_and_are_never_all(run: Run, said: Said, project: Path) -> None:
    run("import", str(write_lines(project / "a.jsonl", SEEDS)), "--name", "notes")
    (project / "schema.json").write_text('{"type": "object", "required": ["place"]}')

    def answer(body: dict[str, Any]) -> Reply:
        return teacher_said(WRITTEN[min(body["seed"], len(WRITTEN) - 1)])

    with serving(answer) as seen:
        made = said(
            "synthesize", "notes", "--teacher", f"{seen.url}/v1", "--model", "big", "--rows", "9",
            "--max-share", "0.34", "--schema", "schema.json", "--api-key", "k",
        )  # fmt: skip
    assert (made["passed"], made["rows"]) == (2, 6)
    assert made["refused"] == {"format": 1, "copy": 1, "refusal": 1, "schema": 1, "personal data or secrets": 1}
    assert seen.keys == {"Bearer k"}
    assert seen.paths == {"/v1/chat/completions"}
    assert made["notes"] == {"synthetic": "2 of big"}
    run("synthesize", "notes", "--teacher", seen.url, "--model", "big", "--max-share", "1", code=2)
    assert "cannot be asked" in run("synthesize", "notes@1", "--teacher", seen.url, "--model", "big", code=1).stderr


def answering(reply: Reply) -> Callable[[dict[str, Any]], Reply]:
    return lambda body: reply


def test_a_teacher_that_fails_is_told_and_nothing_is_made(run: Run, project: Path) -> None:
    run("import", str(write_lines(project / "a.jsonl", SEEDS)), "--name", "notes")
    replies = (((500, b"down"), "answered 500: down"), ((200, b"[]"), "no format"), (teacher_said("no"), "passes"))
    for reply, words in replies:
        with serving(answering(reply)) as seen:
            done = run("synthesize", "notes", "--teacher", seen.url, "--model", "big", "--rows", "1", code=1)
        assert words in done.stderr
    run("show", "notes@2", code=4)


def test_the_share_counts_rows_that_are_synthetic_already() -> None:
    people = [row(f"q{n}") for n in range(8)]
    made = [row(f"s{n}", tags=["synthetic"]) for n in range(2)]
    assert most_synthetic(people, 0.5) == 8
    assert most_synthetic([*people, *made], 0.5) == 6
    assert most_synthetic(people, 0.2) == 2
    for share in (0, 1, 1.5):
        with pytest.raises(ConfigError):
            most_synthetic(people, share)


def test_a_teachers_object_is_read_out_of_its_talk() -> None:
    made = written_row('Sure! ```json\n{"prompt": "a", "completion": {"x": 1}}\n```', row("q"))
    assert (made.asked, made.answers) == ("a", ('{"x": 1}',))
