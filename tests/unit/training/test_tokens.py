"""Which tokens of a chat are learned, and what happens to rows that are too long."""

from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.tuning.bases.loading import served_tokenizer
from patchbay.tuning.training.rows import PlacedRow, Row, RowPlace
from patchbay.tuning.training.tokens import IGNORED, ChatEncoder, fit_chats, fit_preferences, stops
from tests.fakes.training_runs import BASE, chats, pairs


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return served_tokenizer(BASE)


def placed(rows: list[Row]) -> list[PlacedRow]:
    return [PlacedRow(RowPlace("rows.jsonl", number), row) for number, row in enumerate(rows, start=1)]


TURNS: Row = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Again"},
        {"role": "assistant", "content": "Hi again"},
    ]
}


@pytest.mark.parametrize(
    ("on", "learned"),
    [
        ("answers", "Hi<|end|>Hi again<|end|>"),
        ("last", "Hi again<|end|>"),
    ],
)
def test_answers_are_learned_with_their_end_and_prompts_are_not(tokenizer: Any, on: Any, learned: str) -> None:
    sample = ChatEncoder(tokenizer).sample(TURNS, on)
    assert tokenizer.decode([label for label in sample.labels if label != IGNORED]) == learned
    assert all(label in (IGNORED, token) for token, label in zip(sample.ids, sample.labels, strict=True))


def test_all_tokens_are_learned_where_that_is_wanted(tokenizer: Any) -> None:
    sample = ChatEncoder(tokenizer).sample(TURNS, "all")
    assert sample.labels == sample.ids


def test_the_prompt_is_what_the_served_base_sees(tokenizer: Any) -> None:
    sample = ChatEncoder(tokenizer).sample(TURNS, "last")
    asked = tokenizer.apply_chat_template(TURNS["messages"][:-1], add_generation_prompt=True, return_dict=True)
    first = next(place for place, label in enumerate(sample.labels) if label != IGNORED)
    assert sample.ids[:first] == asked["input_ids"]


def test_an_earlier_answer_that_the_template_rewrites_is_refused_with_a_way_out(tokenizer: Any) -> None:
    other = served_tokenizer(BASE)
    # As templates of models that think do: earlier answers lose something.
    other.chat_template = (
        "{% for message in messages %}<|{{ message.role }}|>{% if message.role == 'assistant' and not loop.last %}…"
        "{% else %}{{ message.content }}{% endif %}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with pytest.raises(ConfigError, match=r"rows\.jsonl:1: .*use loss\.on: last"):
        fit_chats(placed([TURNS]), ChatEncoder(other), "answers", 512, "refuse")
    assert fit_chats(placed([TURNS]), ChatEncoder(other), "last", 512, "refuse").rows


def test_rows_that_are_too_long_are_refused_and_listed(tokenizer: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        fit_chats(placed([TURNS, *chats(2)]), ChatEncoder(tokenizer), "answers", 30, "refuse")
    assert "rows.jsonl:2 (" in str(refused.value)
    assert "data.too_long" in str(refused.value)


def test_rows_that_are_too_long_are_left_out_or_cut_and_listed(tokenizer: Any) -> None:
    encoder = ChatEncoder(tokenizer)
    rows = placed([TURNS, *chats(2)])
    length = len(encoder.sample(TURNS, "answers").ids)
    left_out = fit_chats(rows, encoder, "answers", length, "drop")
    assert (len(left_out.rows), [one.place.line for one in left_out.long]) == (1, [2, 3])
    cut = fit_chats(rows, encoder, "all", length, "cut")
    assert [len(row["input_ids"]) for row in cut.rows] == [length] * 3
    assert [one.fate for one in cut.long] == ["cut", "cut"]
    # Nothing is left to learn of a row whose answer is cut off.
    gone = fit_chats(rows, encoder, "last", length, "cut")
    assert [one.fate for one in gone.long] == ["drop", "drop"]
    with pytest.raises(ConfigError, match="No row is left"):
        fit_chats(rows[1:], encoder, "last", length, "drop")


def test_pairs_are_measured_by_their_longer_answer(tokenizer: Any) -> None:
    encoder, row = ChatEncoder(tokenizer), pairs(1)[0]
    row["rejected"] = [{"role": "assistant", "content": "I cannot say, for I do not know, nor did I ever."}]
    fitted = fit_preferences(placed([row]), encoder, 512, "refuse")
    assert fitted.lengths == [len(encoder.ids([*row["prompt"], *row["rejected"]]))]
    assert fitted.lengths[0] > len(encoder.ids([*row["prompt"], *row["chosen"]]))


def test_answers_that_never_end_are_seen(tokenizer: Any) -> None:
    fitted = fit_chats(placed([TURNS]), ChatEncoder(tokenizer), "answers", 512, "refuse")
    assert stops(fitted, [tokenizer.eos_token_id])
    assert not stops(fitted, [tokenizer.bos_token_id])


def test_a_base_without_a_chat_template_is_refused(tokenizer: Any) -> None:
    other = served_tokenizer(BASE)
    other.chat_template = None
    with pytest.raises(ConfigError, match="chat template"):
        ChatEncoder(other)
