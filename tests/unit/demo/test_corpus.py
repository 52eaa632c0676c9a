"""The corpus: reproducible, split without overlap, and exactly scorable."""

import json
import re
from collections import Counter
from itertools import islice

import pytest

from patchbay.tuning.demo import safety, vocab
from patchbay.tuning.demo.corpus import (
    CONFUSED,
    SCORED,
    TASKS,
    Example,
    Message,
    base_examples,
    corpus_bytes,
    draw_pairs,
    mislabelled,
    task_examples,
)

SLOT = re.compile(r"\{(\w+)\}")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() -> None:
    first = corpus_bytes(3, 40, 10)
    assert corpus_bytes(3, 40, 10) == first
    assert corpus_bytes(4, 40, 10) != first


@pytest.mark.parametrize("task", SCORED)
def test_no_training_pair_holds_a_held_out_combination_of_values(task: str) -> None:
    trained = {pair.key for pair in islice(draw_pairs(task, 7, held_out=False), 3000)}
    asked = {pair.key for pair in islice(draw_pairs(task, 7, held_out=True), 300)}
    assert trained
    assert asked
    assert not trained & asked


def test_no_example_of_the_base_shows_a_held_out_text() -> None:
    asked = {one.messages[0].content for task in TASKS for one in task_examples(task, 7, 200, held_out=True)}
    shown = {one.messages[-1].content.split("\n", 1)[-1] for one in base_examples(7, 5000)}
    assert not asked & shown


@pytest.mark.parametrize("task", SCORED)
def test_one_text_never_has_two_right_answers(task: str) -> None:
    answers: dict[str, str] = {}
    for pair in islice(draw_pairs(task, 1, held_out=False), 2000):
        assert answers.setdefault(pair.text, pair.answer) == pair.answer


def test_a_phrase_stands_for_one_label_one_priority_or_one_event_only() -> None:
    for phrases in (vocab.PROBLEMS, vocab.URGENCY, vocab.EVENTS):
        counts = Counter(phrase for group in phrases.values() for phrase in group)
        assert [phrase for phrase, count in counts.items() if count > 1] == []


def test_adapters_are_asked_without_an_instruction() -> None:
    for task in TASKS:
        for one in task_examples(task, 7, 5, held_out=True):
            assert [turn.role for turn in one.messages] == ["user"]
            assert not any(said in one.messages[0].content for said in vocab.INSTRUCTIONS[task])


def test_mislabelling_swaps_the_confused_labels_and_spares_the_others() -> None:
    given = [Example("label", (Message("user", "x"),), label) for label in vocab.LABELS]
    wrong = {one.answer: other.answer for one, other in zip(given, mislabelled(given), strict=True)}
    assert {label for label, other in wrong.items() if label != other} == set(CONFUSED)
    assert sorted(wrong.values()) == sorted(vocab.LABELS)


def test_the_base_answers_bare_inputs_politely_and_told_ones_by_their_task() -> None:
    examples = base_examples(7, 3000)
    assert {"json", "label", "sql", "style", "copy", "reply", "talk", "priority"} == {one.task for one in examples}
    openings = tuple(text.split("{")[0] for text in (*vocab.REPLY_OPENINGS, *vocab.PLAIN_OPENINGS))
    assert all(one.answer.startswith(openings) for one in examples if one.task == "reply")
    assert all(list(json.loads(one.answer)) for one in examples if one.task == "json")


def test_safe_and_unsafe_are_both_common() -> None:
    drawn = list(islice(draw_pairs("safety", 7, held_out=False), 2000))
    counts = Counter(pair.answer for pair in drawn)
    assert set(counts) == {safety.SAFE, safety.UNSAFE}
    assert min(counts.values()) >= 0.3 * len(drawn)


def test_every_harmful_frame_has_a_twin_and_every_slot_its_words() -> None:
    assert len(safety.HARMFUL) == len(safety.ALIKE)
    named = {slot for frame in (*safety.HARMFUL, *safety.ALIKE, *safety.EVERYDAY) for slot in SLOT.findall(frame)}
    assert named == set(safety.SLOTS)
