"""Token ids of rows by the base's own chat template, which of them are learned, and which rows are too long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, Literal

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.rows import PlacedRow, Row, RowPlace, UnlearnableRow

IGNORED: Final = -100
_MOST_TOLD: Final = 10
LossOn = Literal["answers", "last", "all"]
Ids = list[int]


@dataclass(frozen=True, slots=True)
class ChatSample:
    """A chat as tokens. `labels`: the ids of those that are learned, `IGNORED` for the others."""

    ids: Ids
    labels: Ids


@dataclass(frozen=True, slots=True)
class LongRow:
    """A row that is longer than the most. `tokens`: its length; `fate`: what was done with it."""

    place: RowPlace
    tokens: int
    fate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Rows that fit. `rows`: for the trainer, samples of chats or rows of preferences; `lengths`: the tokens of each;
    `long`: the rows that were too long."""

    rows: list[Row]
    lengths: list[int]
    long: list[LongRow]


class ChatEncoder:
    """The encoder of chats, with the base's tokenizer and its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise ConfigError(
                "The base model's tokenizer has no chat template, so nothing says how a chat becomes text.",
                hint="Use an instruction-tuned base, or put its chat_template.jinja into the base's folder.",
            )
        self._tokenizer = tokenizer

    def ids(self, messages: Sequence[Row], tools: Any = None, *, ask: bool = False) -> Ids:
        """Returns the tokens of `messages`; `ask`: with an answer begun. Raises UnlearnableRow."""
        from jinja2 import TemplateError

        try:
            made = self._tokenizer.apply_chat_template(
                list(messages), tools=tools, add_generation_prompt=ask, return_dict=True
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise UnlearnableRow(f"the chat template does not take it: {' '.join(str(error).split())[:200]}") from error
        return list(made["input_ids"])

    def sample(self, row: Row, on: LossOn) -> ChatSample:
        """Encodes a chat, of which the answers, the last answer or all is learned. Raises UnlearnableRow."""
        messages, tools = row["messages"], row.get("tools")
        ids = self.ids(messages, tools)
        if on == "all":
            return ChatSample(ids, list(ids))
        labels = [IGNORED] * len(ids)
        turns = [place for place, message in enumerate(messages) if message["role"] == "assistant" and place]
        for turn in turns[-1:] if on == "last" else turns:
            begin, end = self._span(messages, tools, turn, ids)
            labels[begin:end] = ids[begin:end]
        return ChatSample(ids, labels)

    def _span(self, messages: Sequence[Row], tools: Any, turn: int, ids: Ids) -> tuple[int, int]:
        """Finds the tokens of the answer `turn`: from where it differs from the prompt alone to its end."""
        prompt = self.ids(messages[:turn], tools, ask=True)
        begin = shared_prefix(prompt, ids)
        until = ids if turn == len(messages) - 1 else self.ids(messages[: turn + 1], tools)
        if ids[: len(until)] != until:
            raise UnlearnableRow(
                "the chat template writes an earlier answer otherwise than it was given: use loss.on: last"
            )
        return begin, len(until)

    def length(self, row: Row) -> int:
        """Counts the tokens of a row of preferences or votes, with its longest answer. Raises UnlearnableRow."""
        answers = [row[key] for key in ("chosen", "rejected", "completion") if key in row]
        return max(len(self.ids([*row["prompt"], *answer], row.get("tools"))) for answer in answers)


def shared_prefix(one: Ids, other: Ids) -> int:
    """Counts the tokens at the beginning that both have."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def fit_chats(rows: Sequence[PlacedRow], encoder: ChatEncoder, on: LossOn, most: int, too_long: str) -> Fitted:
    """Encodes chats of at most `most` tokens. `too_long`: refuse, drop or cut. Raises ConfigError."""

    def encode(row: Row) -> tuple[Row, int]:
        sample = encoder.sample(row, on)
        kept = {"input_ids": sample.ids[:most], "labels": sample.labels[:most]}
        return kept, len(sample.ids)

    return _fit(rows, encode, most, too_long)


def fit_preferences(rows: Sequence[PlacedRow], encoder: ChatEncoder, most: int, too_long: str) -> Fitted:
    """Measures rows of preferences or votes, which the trainer encodes by itself. Raises ConfigError."""
    return _fit(rows, lambda row: (row, encoder.length(row)), most, too_long)


def _fit(rows: Sequence[PlacedRow], encode: Callable[[Row], tuple[Row, int]], most: int, too_long: str) -> Fitted:
    fitted = Fitted(rows=[], lengths=[], long=[])
    faults: list[str] = []
    for one in rows:
        try:
            kept, tokens = encode(one.row)
        except UnlearnableRow as fault:
            faults.append(f"{one.place}: {fault}")
            continue
        if fate := _fate(kept, tokens, most, too_long):
            fitted.long.append(LongRow(one.place, tokens, fate))
        if fate in ("", "cut"):
            fitted.rows.append(kept)
            fitted.lengths.append(min(tokens, most))
    _check(fitted, faults, most)
    return fitted


def _fate(kept: Row, tokens: int, most: int, too_long: str) -> str:
    if tokens <= most:
        return ""
    nothing_left = "labels" in kept and all(label == IGNORED for label in kept["labels"])
    return "drop" if too_long == "cut" and nothing_left else too_long


def _check(fitted: Fitted, faults: Sequence[str], most: int) -> None:
    if faults:
        raise ConfigError(f"{len(faults)} rows cannot be encoded: {'; '.join(faults[:_MOST_TOLD])}.")
    refused = [one for one in fitted.long if one.fate == "refuse"]
    if refused:
        listed = ", ".join(f"{one.place} ({one.tokens})" for one in refused[:_MOST_TOLD])
        longest = max(one.tokens for one in refused)
        raise ConfigError(
            f"{len(refused)} rows are longer than data.max_length, {most} tokens: {listed}.",
            hint=f"Raise data.max_length (the longest has {longest}), or set data.too_long to drop or cut.",
        )
    if not fitted.rows:
        raise ConfigError(f"No row is left that is at most {most} tokens long.", hint="Raise data.max_length.")


def stops(fitted: Fitted, ends: Sequence[int]) -> bool:
    """Says whether most answers are taught to end: one of their last two learned tokens is one of `ends`."""
    taught = 0
    for row in fitted.rows:
        last = [label for label in row["labels"] if label != IGNORED][-2:]
        taught += bool(set(last) & set(ends))
    return 2 * taught >= len(fitted.rows)
