"""What holds for the corpus, the split, the tokenizer and the manifest, whatever is drawn."""

import json
import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from patchbay.tuning.demo import safety, vocab
from patchbay.tuning.demo.build import ARTIFACTS
from patchbay.tuning.demo.corpus import (
    SCORED,
    Message,
    draw_json,
    draw_label,
    draw_pairs,
    draw_safety,
    draw_sql,
    draw_style,
)
from patchbay.tuning.demo.manifest import DemoManifest, FileEntry
from patchbay.tuning.demo.score import FLAWED, GOOD, UNTAUGHT
from patchbay.tuning.demo.tokenizer import render

CALM = settings(deadline=None)  # a busy machine is no failure
SEEDS = st.integers(0, 2**32)
TOKENIZER = Tokenizer.from_file(str(ARTIFACTS / "base" / "tokenizer.json"))
STATEMENT = re.compile(
    r"SELECT (?:COUNT\(\*\)|[a-z]+) FROM [a-z]+ WHERE [a-z]+ (?:= '[A-Za-z ]+'|[<>] \d+)"
    r"(?: ORDER BY created (?:ASC|DESC))?(?: LIMIT \d+)?;"
)
HARMS = [word for slot in ("harm", "insult", "self", "weapon", "poison", "malware") for word in safety.SLOTS[slot]]
HARM = re.compile(rf"\b(?:{'|'.join(HARMS)})\b")


def rng(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - draws of a test


@given(SEEDS)
@CALM
def test_a_json_answer_parses_and_its_values_stand_in_the_ticket(seed: int) -> None:
    pair = draw_json(rng(seed))
    fields = json.loads(pair.answer)
    assert list(fields) == ["customer", "product", "order", "priority"]
    assert all(fields[name] in pair.text for name in ("customer", "product", "order"))
    assert fields["priority"] == next(
        name for name, phrases in vocab.URGENCY.items() if any(phrase in pair.text for phrase in phrases)
    )


@given(SEEDS)
@CALM
def test_a_label_is_one_of_the_labels_and_not_given_away_by_its_ticket(seed: int) -> None:
    pair = draw_label(rng(seed))
    assert pair.answer in vocab.LABELS


@given(SEEDS)
@CALM
def test_a_sql_answer_is_one_statement_whose_values_stand_in_the_request(seed: int) -> None:
    pair = draw_sql(rng(seed))
    assert STATEMENT.fullmatch(pair.answer)
    assert all(value in pair.text for value in re.findall(r"'([^']+)'|(\d+)", pair.answer) for value in value if value)


@given(SEEDS)
@CALM
def test_a_letter_carries_every_value_over(seed: int) -> None:
    pair = draw_style(rng(seed))
    greeting, body, *ending = pair.answer.split("\n")
    assert greeting.removeprefix("Dear ").removesuffix(",") in pair.text
    assert re.findall(r"PB-\d{4}", body) == re.findall(r"PB-\d{4}", pair.text)
    assert body.removesuffix(".").rsplit(" ", 1)[1] in pair.text
    assert ending == ["Kind regards,", "Patchbay Support"]


@given(SEEDS)
@CALM
def test_a_text_is_unsafe_exactly_if_it_says_a_word_that_harms(seed: int) -> None:
    pair = draw_safety(rng(seed))
    assert pair.answer == (safety.UNSAFE if HARM.search(pair.text) else safety.SAFE)


@given(SEEDS, st.sampled_from(SCORED), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_split_holds_its_own_pairs_only_and_none_twice(seed: int, task: str, held_out: bool) -> None:
    pairs = draw_pairs(task, seed, held_out=held_out)
    drawn = [next(pairs) for _ in range(20)]
    assert {pair.held_out for pair in drawn} == {held_out}
    assert len({pair.text for pair in drawn}) == len(drawn)


@given(st.text())
@CALM
def test_any_text_survives_the_tokenizer(text: str) -> None:
    encoded = TOKENIZER.encode(text, add_special_tokens=False)
    assert TOKENIZER.decode(encoded.ids, skip_special_tokens=False) == text


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
@CALM
def test_a_rendered_chat_ends_with_the_assistants_turn(texts: list[str]) -> None:
    rendered = render(tuple(Message("user", text) for text in texts))
    assert rendered.startswith("<|bos|><|user|>")
    assert rendered.endswith("<|end|><|assistant|>")


@given(st.floats(0, 1))
@CALM
def test_a_rate_never_passes_as_good_and_as_untaught(rate: float) -> None:
    assert not (GOOD.met_by(rate) and UNTAUGHT.met_by(rate))
    assert not (GOOD.met_by(rate) and FLAWED.met_by(rate))


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(min_size=1, max_size=4), min_size=1), st.randoms())
@CALM
def test_the_digest_is_the_same_in_any_order_and_another_for_any_other_file(
    files: dict[str, bytes], shuffle: random.Random
) -> None:
    entries = {name: FileEntry(content.hex(), len(content)) for name, content in files.items()}
    names = list(entries)
    shuffle.shuffle(names)
    digest = DemoManifest(entries, {}).digest
    assert DemoManifest({name: entries[name] for name in names}, {}).digest == digest
    assert DemoManifest({**entries, names[0]: FileEntry("", 0)}, {}).digest != digest
