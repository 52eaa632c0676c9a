"""The English corpora: a value that is asked in a held-out example is in no text that is learnt from."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.tuning.demo import vocab
from patchbay.tuning.demo.corpus import seeded
from patchbay.tuning.demo.english.corpus import ENGLISH_TASKS, english_examples
from patchbay.tuning.demo.english.recipe import EnglishRecipe
from patchbay.tuning.demo.english.values import Values

_PROPER = re.compile(r"[A-Z][a-z]+(?:-[A-Z][a-z]+)?")


@pytest.fixture(scope="module")
def learnt_words() -> set[str]:
    """Every word of everything that the shipped adapters are trained on."""
    words: set[str] = set()
    recipe = EnglishRecipe()
    for adapter in recipe.adapters:
        for example in english_examples(adapter.task, recipe.seed, adapter.examples, held_out=False):
            words |= set(re.findall(r"[\w-]+", f"{example.messages[-1].content} {example.answer}"))
    return words


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_no_held_out_person_product_city_or_order_is_learnt(learnt_words: set[str], seed: int) -> None:
    values = Values(seeded(str(seed)), held_out=True)
    for name in values.customer().split():
        assert not set(name.split("-")) & learnt_words
    assert values.product().split()[0] not in learnt_words
    assert values.order() not in learnt_words
    city = values.city()
    assert city not in learnt_words or " " in city


@given(seed=st.integers(0, 1000), task=st.sampled_from(ENGLISH_TASKS), held_out=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_same_seed_draws_the_same_and_nothing_twice(seed: int, task: str, held_out: bool) -> None:
    drawn = english_examples(task, seed, 20, held_out=held_out)
    assert drawn == english_examples(task, seed, 20, held_out=held_out)
    assert len({one.messages[0].content for one in drawn}) == 20


@given(seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_answer_is_in_the_question(seed: int) -> None:
    for example in english_examples("json", seed, 5, held_out=True):
        fields = json.loads(example.answer)
        assert list(fields) == ["customer", "product", "order", "priority"]
        assert all(fields[name] in example.messages[0].content for name in ("customer", "product", "order"))
        assert any(sign in example.messages[0].content for sign in vocab.URGENCY[fields["priority"]])
    for task in ("style", "summary"):
        for example in english_examples(task, seed, 5, held_out=True):
            names = [one for one in _PROPER.findall(example.answer) if "-" in one]
            assert all(name in example.messages[0].content for name in names)
    for example in english_examples("label", seed, 5, held_out=True):
        assert example.answer in vocab.LABELS


@pytest.mark.parametrize("task", ENGLISH_TASKS)
def test_no_question_that_is_scored_is_learnt(task: str) -> None:
    learnt = {one.messages[0].content for one in english_examples(task, 7, 1_800, held_out=False)}
    assert not learnt & {one.messages[0].content for one in english_examples(task, 7, 200, held_out=True)}
