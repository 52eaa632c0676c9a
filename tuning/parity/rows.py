"""The rows that a parity file is written of: conversations as text and tokens, before anything scores them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from patchbay.adapters.parity.file import MOST_ROW_TOKENS

# A row of at most so many tokens is preferred: replicas score all of them before an adapter serves.
SHORT_TOKENS = 256


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One conversation. `messages`, `prompt`, `ids`, `start`: as in `patchbay.adapters.parity.file.ParityRow`."""

    messages: tuple[Mapping[str, str], ...]
    prompt: str
    ids: tuple[int, ...]
    start: int


def token_rows(
    rows: Iterable[Mapping[str, Any]], tokenizer: Any, *, limit: int, max_length: int | None = None
) -> list[TokenRow]:
    """Chooses at most `limit` of the `rows`, and splits them into tokens as a trainer does.

    The first are taken, those of at most 256 tokens before longer ones. Rows whose messages are not a role and a text
    each, such as those with tools, are passed over, and so is one that is as an earlier one. `max_length`: where the
    trainer cuts an example, at its end.
    """
    short: dict[tuple[int, ...], TokenRow] = {}
    longer: dict[tuple[int, ...], TokenRow] = {}
    for row in _tokenized(rows, tokenizer, max_length):
        (short if len(row.ids) <= SHORT_TOKENS else longer).setdefault(row.ids, row)
        if len(short) == limit:
            break
    by_length = sorted(longer.values(), key=lambda row: len(row.ids))
    return [*short.values(), *by_length][:limit]


def prompt_text(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """Renders a conversation up to where the model is to answer."""
    text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return text


def tokens_of(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Splits a rendered text into tokens: the template has written those that begin and end it."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _tokenized(rows: Iterable[Mapping[str, Any]], tokenizer: Any, max_length: int | None) -> Iterator[TokenRow]:
    for row in rows:
        messages = _plain_messages(row.get("messages"))
        if len(messages) < 2:
            continue
        asked = messages[:-1]
        prompt = prompt_text(tokenizer, asked)
        ids, start = _ids(tokenizer, prompt, messages)
        ids = ids[:max_length]
        start = min(start, len(ids) - 1)
        if start > 0 and len(ids) <= MOST_ROW_TOKENS:
            yield TokenRow(asked, prompt, ids, start)


def _ids(tokenizer: Any, prompt: str, messages: Sequence[Mapping[str, str]]) -> tuple[tuple[int, ...], int]:
    """Splits the prompt and the answer behind it. Returns all tokens, and where the answer's begin."""
    whole: str = tokenizer.apply_chat_template(list(messages), tokenize=False)
    # A template may write an answer that is history otherwise than one that is to come, without its thoughts.
    answer = whole.removeprefix(prompt) if whole.startswith(prompt) else messages[-1]["content"]
    first = tokens_of(tokenizer, prompt)
    together = tokens_of(tokenizer, prompt + answer)
    return (together if together[: len(first)] == first else first + tokens_of(tokenizer, answer)), len(first)


def _plain_messages(value: Any) -> tuple[Mapping[str, str], ...]:
    """Returns messages of a role and a text each, none where one has anything else that counts."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    plain = []
    for message in value:
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or not isinstance(content, str) or message.get("tool_calls"):
            return ()
        plain.append({"role": role, "content": content})
    return tuple(plain)
