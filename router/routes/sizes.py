"""The size fields of a request's body: the tokens that an answer may have, and the number of answers. Pure.

What is counted is what is sent: the limit is computed once from the body, by the order in which vLLM reads its own
fields, and written back into every field that the endpoint has for it, so that no server can read another one. A field
of another endpoint is refused, and so is a number in another form (`"128"`, `64.0`, `true`), which some readers would
accept and others would not. `tests/property/router/test_sizes.py` holds the table against vLLM's own request models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from patchbay.core.errors import InvalidRequest
from patchbay.core.json_body import encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFields:
    """The size fields of an endpoint.

    `tokens`: fields that bound an answer, in the order of precedence; `answers`: fields that multiply answers;
    `unsaid`: the tokens of an answer where no field says it, None where it may fill the context; `prompts`: the fields
    that may hold several prompts; `paired`: whether texts of one are read with those of another.
    """

    tokens: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    unsaid: int | None = None
    prompts: tuple[str, ...] = ()
    paired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size that a body asks for.

    `tokens`: the most that each answer may have, None where it does not say; `choices`: answers to each prompt;
    `prompts`: their number; `again`: the bytes that are read beyond the body's own, since one query is with each
    document.
    """

    tokens: int | None = None
    choices: int = 0
    prompts: int = 1
    again: int = 0

    @property
    def answers(self) -> int:
        """The number of answers, over all prompts."""
        return self.choices * self.prompts


_CHOICES = ("n", "best_of")
_PAIRED = ("queries", "documents", "items", "data_1", "data_2", "text_1", "text_2")
# Fields that may be read with each pair.
_WITH_EACH = ("instruction", "chat_template_kwargs")
# Bytes of the tokens that a model has around the texts of one pair.
_PAIR_BYTES = 8
FIELDS: Mapping[str, SizeFields] = MappingProxyType(
    {
        "chat_completions": SizeFields(tokens=("max_completion_tokens", "max_tokens"), answers=_CHOICES),
        "completions": SizeFields(tokens=("max_tokens",), answers=_CHOICES, unsaid=16, prompts=("prompt",)),
        "responses": SizeFields(tokens=("max_output_tokens",)),
        "messages": SizeFields(tokens=("max_tokens",)),
        "embeddings": SizeFields(prompts=("input",)),
        "score": SizeFields(prompts=_PAIRED, paired=True),
        "rerank": SizeFields(prompts=("query", "documents"), paired=True),
    }
)
_NONE = SizeFields()
_EVERY = tuple(dict.fromkeys(name for of in FIELDS.values() for name in (*of.tokens, *of.answers)))


def size_of(fields: Mapping[str, Any], endpoint: str) -> Size:
    """Returns the size that vLLM would read from `fields`, a request's decoded body, at `endpoint`.

    Raises InvalidRequest for a size that is not a whole number, or is in a field that the endpoint does not have.
    """
    known = FIELDS.get(endpoint, _NONE)
    prompts = _prompts(fields, known)
    if not known.tokens:
        return Size(prompts=prompts, again=_read_again(fields, known) if known.paired else 0)
    for name in _EVERY:
        if fields.get(name) is not None and name not in (*known.tokens, *known.answers):
            raise InvalidRequest(
                f"'{name}' is not a parameter of this endpoint.", param=name, hint=f"Use '{known.tokens[0]}'."
            )
    limits = [number for name in known.tokens if (number := _whole(fields, name)) is not None]
    choices = [number for name in known.answers if (number := _whole(fields, name)) is not None]
    return Size(tokens=limits[0] if limits else known.unsaid, choices=max([1, *choices]), prompts=prompts)


def makes_text(endpoint: str) -> bool:
    """Whether answers of `endpoint` are generated, so that it has sampling and size fields."""
    return bool(FIELDS.get(endpoint, _NONE).tokens)


def with_tokens(fields: Mapping[str, Any], endpoint: str, tokens: int) -> dict[str, Any]:
    """Returns `fields` with `tokens` as the most for each answer, in each field that the endpoint has for it."""
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
    """Returns the number of prompts. A list of numbers is one prompt, by its tokens' ids."""
    texts, embedded = sum(_texts(fields.get(name)) for name in known.prompts), fields.get("prompt_embeds")
    return max(1, texts + (len(embedded) if isinstance(embedded, list) else embedded is not None))


def _read_again(fields: Mapping[str, Any], known: SizeFields) -> int:
    """Returns the bytes that are read with each pair of texts beyond the first: a text that stands alone on its side,
    and what belongs to all. Where both sides have several texts, each is read once."""
    pairs = max((_texts(fields.get(name)) for name in known.prompts), default=1)
    alone = [fields[name] for name in known.prompts if _texts(fields.get(name)) == 1]
    for_all = [fields[name] for name in _WITH_EACH if fields.get(name) is not None]
    return (pairs - 1) * sum(map(_length, (*alone, *for_all))) + pairs * _PAIR_BYTES


def _length(value: Any) -> int:
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else len(encoded(value))


def _texts(prompt: Any) -> int:
    if prompt is None:
        return 0
    return len(prompt) if isinstance(prompt, list) and not _is_ids(prompt) else 1


def _is_ids(prompt: list[Any]) -> bool:
    return all(isinstance(token, int) for token in prompt)
