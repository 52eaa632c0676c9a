"""A request's kind: the same for whatever gives an engine the same work, by a keyed hash. Pure.

Hashed is what a prompt is made from, and what an engine does beside sampling (grammars, log probabilities, several
answers), in an order of its own; not who asks, how the answer is sent, or how tokens are drawn.
"""

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

_PROMPT = (
    "messages",
    "prompt",
    "input",
    "system",
    "instructions",
    "previous_response_id",
    "suffix",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "documents",
    "chat_template",
    "chat_template_kwargs",
    "reasoning_effort",
    "prompt_embeds",
    "mm_processor_kwargs",
    "tokens",
)
_WORK = (
    "response_format",
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "text",
    "echo",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "n",
    "best_of",
    "use_beam_search",
    "logit_bias",
    "bad_words",
    "allowed_token_ids",
    "encoding_format",
    "dimensions",
)
_FIELDS = msgspec.defstruct(
    "_Fields", [(name, msgspec.Raw, msgspec.field(default=msgspec.Raw())) for name in (*_PROMPT, *_WORK)], frozen=True
)
_DECODER = msgspec.json.Decoder(_FIELDS)
# Put in order within as well, which takes about a millisecond for so many bytes. What is larger is hashed as it came.
_ORDERED_BYTES = 64 * 1024


def kind_of(engine_name: str, body: bytes, key: bytes) -> bytes:
    """The kind of a request with this JSON `body` to the model of that name. `key`: what makes it say nothing to
    others, up to 64 bytes."""
    made = blake2b(engine_name.encode(), key=key, digest_size=16)
    for name, value in _parts(body):
        made.update(b"\0%b\0%d\0" % (name.encode(), len(value)))
        made.update(value)
    return made.digest()


def _parts(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        fields = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        yield "", body
        return
    for name in (*_PROMPT, *_WORK):
        value = bytes(getattr(fields, name))
        if value not in (b"", b"null"):
            yield name, _ordered(value)


def _ordered(value: bytes) -> bytes:
    if len(value) > _ORDERED_BYTES:
        return value
    try:
        return msgspec.json.encode(msgspec.json.decode(value), order="sorted")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return value
