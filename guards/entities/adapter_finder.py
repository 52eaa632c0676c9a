"""A finder that asks an adapter on the engine, which names persons and addresses as JSON.

What it names is looked for in the text, so its places are exact, and it can point at nothing that is not there.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from patchbay.guards.entities.finder import FinderFailed, FoundEntity
from patchbay.guards.entities.named import KINDS_OF_LISTS, named_entities
from patchbay.guards.judges.judge import JudgeFailed
from patchbay.guards.judges.llm_judge import AskModel

# Asks a model for a chat completion, from a thread. Takes the model's name and the request's other fields; returns the
# answer's body. Raises FinderFailed where there is none.
AskBlocking = Callable[[str, dict[str, object]], bytes]
_MOST_BYTES: Final = 1024 * 1024
# An answer repeats the text's names: in tokens, it is never longer than the text in bytes and the form around them.
_FORM_TOKENS: Final = 64
_MOST_TOKENS: Final = 2048
_SCHEMA: Final = {
    "type": "object",
    "properties": {key: {"type": "array", "items": {"type": "string"}} for key in KINDS_OF_LISTS},
    "required": list(KINDS_OF_LISTS),
    "additionalProperties": False,
}


class _Message(msgspec.Struct, frozen=True):
    content: str


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice]


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class AdapterFinder:
    """An `EntityFinder` that asks the adapter `model`. `ask`: asks it on the engine, None where there is none."""

    def __init__(self, model: str, ask: AskBlocking | None = None) -> None:
        self._model = model
        self._ask = ask

    def asking(self, ask: AskBlocking) -> "AdapterFinder":
        """Returns the same finder, which asks by `ask`."""
        return AdapterFinder(self._model, ask)

    def prepare(self) -> None:
        """Raises FinderFailed where there is no engine to ask; see `EntityFinder`."""
        if self._ask is None:
            raise FinderFailed("It asks an adapter on the engine, which only a router can.")

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        """Returns what is found in `text`; see `EntityFinder`. The adapter is asked alike in every `language`."""
        if self._ask is None:
            raise FinderFailed("It asks an adapter on the engine, which only a router can.")
        body = self._ask(self._model, request_fields(text))
        if len(body) > _MOST_BYTES:
            raise FinderFailed(f"Its answer is larger than {_MOST_BYTES} bytes.")
        try:
            answer = _ANSWER.decode(body).choices[0].message.content
        except (msgspec.DecodeError, UnicodeDecodeError, IndexError) as error:
            raise FinderFailed("Its answer is no chat completion.") from error
        return named_entities(answer, text)


def request_fields(text: str) -> dict[str, object]:
    """Returns the fields of the request that asks about `text`, without the model."""
    return {
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": min(_MOST_TOKENS, len(text.encode("utf-8", "surrogatepass")) + _FORM_TOKENS),
        "response_format": {"type": "json_schema", "json_schema": {"name": "named", "schema": _SCHEMA}},
    }


def blocking(ask: AskModel, near: str) -> AskBlocking:
    """Returns what asks by `ask`, on the event loop that runs now, from other threads, and waits. `near`: places
    related requests together."""
    loop = asyncio.get_running_loop()

    def asked(model: str, fields: dict[str, object]) -> bytes:
        try:
            return asyncio.run_coroutine_threadsafe(_awaited(ask, model, fields, near), loop).result()
        except (JudgeFailed, RuntimeError) as error:
            # RuntimeError: the loop has ended.
            raise FinderFailed(f"The adapter '{model}' gives no answer: {error}") from error

    return asked


async def _awaited(ask: AskModel, model: str, fields: dict[str, object], near: str) -> bytes:
    return await ask(model, fields, near)
