"""The size fields of a request's body: how many tokens an answer may have, and how many answers there are. Pure.

Counted is what is sent: the limit that follows from a body is computed once, by the order in which vLLM reads its own
fields, and written back into every field that the endpoint has for it, so that no server can read another. A field of
another endpoint, or a number in another form (`"128"`, `64.0`, `true`), which one reader would take and the next would
not, is refused. `tests/property/router/test_sizes.py` holds the table against vLLM's own request models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from patchbay.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFields:
    """An endpoint's size fields. `tokens`: those that bound an answer, the one that is obeyed first; `answers`: those
    that multiply answers; `unsaid`: the tokens of an answer where none is said, None where it may fill the context;
    `prompts`: the field that may hold several prompts."""

    tokens: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    unsaid: int | None = None
    prompts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a body asks for. `tokens`: the most that each answer may have, None where it does not say; `choices`:
    answers to each prompt; `prompts`: how many there are."""

    tokens: int | None = None
    choices: int = 0
    prompts: int = 1

    @property
    def answers(self) -> int:
        """How many answers there are, over all prompts."""
        return self.choices * self.prompts


_CHOICES = ("n", "best_of")
FIELDS: Mapping[str, SizeFields] = MappingProxyType(
    {
        "chat_completions": SizeFields(tokens=("max_completion_tokens", "max_tokens"), answers=_CHOICES),
        "completions": SizeFields(tokens=("max_tokens",), answers=_CHOICES, unsaid=16, prompts="prompt"),
        "responses": SizeFields(tokens=("max_output_tokens",)),
        "messages": SizeFields(tokens=("max_tokens",)),
        "embeddings": SizeFields(prompts="input"),
    }
)
_NONE = SizeFields()
_EVERY = tuple(dict.fromkeys(name for one in FIELDS.values() for name in (*one.tokens, *one.answers)))


def size_of(fields: Mapping[str, Any], endpoint: str) -> Size:
    """The size that vLLM would take from `fields`, a request's decoded body, at `endpoint`.

    Raises InvalidRequest for a size that is no whole number, or stands in a field that the endpoint has not.
    """
    known = FIELDS.get(endpoint, _NONE)
    prompts = _prompts(fields, known)
    if not known.tokens:
        return Size(prompts=prompts)
    for name in _EVERY:
        if fields.get(name) is not None and name not in (*known.tokens, *known.answers):
            raise InvalidRequest(
                f"'{name}' is not a parameter of this endpoint.", param=name, hint=f"Use '{known.tokens[0]}'."
            )
    said = [number for name in known.tokens if (number := _whole(fields, name)) is not None]
    choices = [number for name in known.answers if (number := _whole(fields, name)) is not None]
    return Size(tokens=said[0] if said else known.unsaid, choices=max([1, *choices]), prompts=prompts)


def makes_text(endpoint: str) -> bool:
    """Whether answers of `endpoint` are generated, so that it has sampling and size fields."""
    return bool(FIELDS.get(endpoint, _NONE).tokens)


def with_tokens(fields: Mapping[str, Any], endpoint: str, tokens: int) -> dict[str, Any]:
    """`fields` with `tokens` as the most that each answer may have, in each field that the endpoint has for it."""
    least = fields.get("min_tokens")
    lowered = {"min_tokens": tokens} if isinstance(least, int) and least > tokens else {}
    return {**fields, **lowered, **dict.fromkeys(FIELDS.get(endpoint, _NONE).tokens, tokens)}


def _whole(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"Invalid value for '{name}': expected a whole number, 0 or more.", param=name)
    return value


def _prompts(fields: Mapping[str, Any], known: SizeFields) -> int:
    """How many prompts there are. A list of numbers is one prompt, by its tokens' ids."""
    if known.prompts is None:
        return 1
    prompt, embedded = fields.get(known.prompts), fields.get("prompt_embeds")
    texts = 0 if prompt is None else len(prompt) if isinstance(prompt, list) and not _is_ids(prompt) else 1
    return max(1, texts + (len(embedded) if isinstance(embedded, list) else embedded is not None))


def _is_ids(prompt: list[Any]) -> bool:
    return all(isinstance(one, int) for one in prompt)
