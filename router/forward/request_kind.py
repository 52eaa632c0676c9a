"""Kind of a request: a keyed hash that is the same for all requests that give an engine the same work. Pure.

Hashed are the fields from which the prompt is made, and those for what an engine does beside sampling (grammars, log
probabilities, several answers), in a fixed order. Left out is who asks, how the answer is sent, and how tokens are
drawn.
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
# Fields up to this size are hashed with their keys sorted, which takes about a millisecond. Larger ones as they came.
_ORDERED_BYTES = 64 * 1024


def kind_of(engine_name: str, body: bytes, key: bytes) -> bytes:
    """Returns the kind of a request, 16 bytes.

    `engine_name`: of the model; `body`: JSON; `key`: up to 64 secret bytes, without which nobody can guess the prompt
    from the kind. Source: RFC 7693 (BLAKE2, keyed).
    """
    kind = blake2b(engine_name.encode(), key=key, digest_size=16)
    for name, value in _parts(body):
        kind.update(b"\0%b\0%d\0" % (name.encode(), len(value)))
        kind.update(value)
    return kind.digest()


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
