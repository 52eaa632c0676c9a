"""The corpus, the marked set and the measure of the adapter that names persons and addresses."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.entities.finder import FinderFailed
from patchbay.guards.entities.named import named_entities
from patchbay.tuning.names.corpus import LANGUAGES, named_texts
from patchbay.tuning.names.marked import MarkedText, marked_text, read_marked
from patchbay.tuning.names.measure import measured

SET = Path(__file__).parents[2] / "redteam" / "entities"


def test_what_the_corpus_says_is_named_is_in_the_text() -> None:
    for text in named_texts(3, 600):
        found = named_entities(text.answer(), text.text)
        named = {text.text[entity.start : entity.end] for entity in found}
        assert named == {*text.persons, *text.addresses}


def test_the_corpus_is_drawn_alike_each_time_in_all_languages() -> None:
    assert named_texts(3, 60) == named_texts(3, 60)
    assert {text.text for text in named_texts(3, 60)} != {text.text for text in named_texts(4, 60)}
    assert len(LANGUAGES) == 6


def test_nothing_of_the_set_is_learnt() -> None:
    marked = read_marked(SET)
    values = {text.text[start:end] for text in marked for start, end, _ in text.spans}
    learnt = named_texts(7, 6000)
    assert not values & {value for text in learnt for value in (*text.persons, *text.addresses) if " " in value}
    assert not {text.text for text in marked} & {text.text for text in learnt}


def test_the_set_has_every_language_and_texts_in_which_nobody_is_named() -> None:
    marked = read_marked(SET)
    for language in LANGUAGES:
        own = [text for text in marked if text.language == language]
        assert sum(len(text.spans) for text in own) >= 30
        assert sum(not text.spans for text in own) >= 10


def test_marks_are_taken_out() -> None:
    assert marked_text("For [P:Ann Lee], [A:5 High Street].", "en") == MarkedText(
        "For Ann Lee, 5 High Street.", "en", ((4, 11, "PERSON"), (13, 26, "LOCATION"))
    )


def test_the_measure_counts_exact_and_covered_spans() -> None:
    text = marked_text("[P:Ann Lee] met [P:Bo] at [A:5 High Street]", "en")
    rows = {row.group: row for row in measured([text], [[(0, 3, "PERSON"), (12, 14, "PERSON"), (18, 31, "PERSON")]])}
    assert (rows["all"].wanted, rows["all"].told, rows["all"].right, rows["all"].covered) == (3, 3, 1, 2)
    assert rows["PERSON"].recall == 0.5
    assert rows["LOCATION"].recall == 0
    assert rows["LOCATION"].coverage == 1


@pytest.mark.parametrize("answer", ["", "no", "[]", "{}", '{"persons": "Ann"}', '{"persons": [1]}'])
def test_an_answer_in_another_form_is_a_failure_and_not_nothing_found(answer: str) -> None:
    with pytest.raises(FinderFailed):
        named_entities(answer, "Ann is here.")


@given(st.text(), st.lists(st.text()), st.lists(st.text()))
def test_only_what_is_in_the_text_is_found(text: str, persons: list[str], addresses: list[str]) -> None:
    import json

    for found in named_entities(json.dumps({"persons": persons, "addresses": addresses}), text):
        assert text[found.start : found.end] in {name.strip() for name in (*persons, *addresses)}


def test_a_name_is_found_wherever_it_stands_as_a_word() -> None:
    found = named_entities('{"persons": ["Al"], "addresses": []}', "Al said: Also Al's, al.")
    assert [(entity.start, entity.end) for entity in found] == [(0, 2), (14, 16)]
