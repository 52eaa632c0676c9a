"""Token meter: the most tokens that a call can take, before it is made, and those that it took, after it. Pure.

A stream of our replicas is counted by its token ids, any other answer by the `usage` at its end. A stream of a plain
server without `usage` is estimated by its events, a token each.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from patchbay.core.json_body import decoded, encoded
from patchbay.router.forward.relay import Relay
from patchbay.router.routes.sizes import Size, size_of, with_tokens
from patchbay.router.tenants.config import CountersConfig
from patchbay.router.tenants.limiter import NOTHING, Need

# Tokens that a chat template adds around the messages, if it has no system prompt of its own.
_TEMPLATE_TOKENS = 64
_ESTIMATED_BYTES_PER_TOKEN = 4
# Assumed size of a prompt that is not all in the body, where the model's context is unknown.
_CONTEXT_TOKENS = 16_384
# Fields by which a prompt grows beyond its body: an earlier answer, a template that may write anything, and padding.
_FROM_ELSEWHERE = ("previous_response_id", "conversation", "chat_template", "padding")
# Kinds of parts whose tokens are made from the body's own bytes.
_TEXTUAL = frozenset(
    {"text", "input_text", "output_text", "refusal", "thinking", "reasoning_text", "tool_use", "tool_result", "None"}
)


class _Usage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


class _Answer(msgspec.Struct, frozen=True):
    usage: _Usage | None = None
    response: _Message | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def bounded(body: bytes, endpoint: str, rates: CountersConfig, context: int | None) -> tuple[bytes, Need]:
    """Writes the limit of answer tokens into `body`, and returns it with the most tokens that the call can take.

    `endpoint`: its name; `rates`: the assumptions where the body does not say; `context`: the tokens that the model can
    hold, None if unknown. Raises InvalidRequest for a size that could be read in more than one way.
    """
    fields: dict[str, Any] = decoded(body)
    size = size_of(fields, endpoint)
    if size.answers:
        said = rates.answer_tokens if size.tokens is None else size.tokens
        size = replace(size, tokens=said if context is None else min(said, context))
        fields = with_tokens(fields, endpoint, size.tokens or 0)
    return encoded(fields), need_of(fields, len(body), size, rates, context)


def need_of(fields: Mapping[str, Any], length: int, size: Size, rates: CountersConfig, context: int | None) -> Need:
    """Returns the most tokens that a call can take.

    `fields`: its decoded body; `length`: of the body, in bytes; `size`: the answers that it asks for; `rates`: holds
    the bytes per token; `context`: the tokens that the model can hold, None if unknown. A token is made from at least
    one byte, so at one byte a token the result is never too small. A prompt with more than text, or with a text that is
    not in the body, cannot be estimated from bytes: it counts as a full context, as does one that is padded to it.
    """
    bare = fields.get("prompt") if "prompt" in fields else fields.get("input")
    prompt = max(int((length + size.again) / rates.bytes_per_token), _ids_in(bare)) + _TEMPLATE_TOKENS
    if _is_open_ended(fields):
        prompt = max(prompt, (context or _CONTEXT_TOKENS) * size.prompts)
    if context is not None:
        # The engine refuses or cuts a longer prompt.
        prompt = min(prompt, context * size.prompts)
    # Even a completion that only echoes makes a token.
    return Need(prompt=prompt, answer=max(size.tokens or 0, 1) * size.answers)


def _ids_in(prompt: Any) -> int:
    """Returns the number of tokens that a prompt gives by their ids."""
    if not isinstance(prompt, list):
        return 0
    return sum(len(one) if isinstance(one, list) else isinstance(one, int) for one in prompt)


def _is_open_ended(fields: Mapping[str, Any]) -> bool:
    if any(fields.get(name) is not None for name in _FROM_ELSEWHERE):
        return True
    said = fields.get("messages") or fields.get("input")
    parts = said if isinstance(said, list) else []
    return any(_has_media(one) for one in parts)


def _has_media(message: Any) -> bool:
    """Whether a message holds a part that is neither text nor a call."""
    if not isinstance(message, dict):
        return False
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(one, dict) and not _TEXTUAL.issuperset((str(one.get("type")),)) for one in parts)


def guess_of(body: bytes, answer_tokens: float) -> float:
    """Estimates the tokens that a call will take. `answer_tokens`: the average of recent answers."""
    return len(body) / _ESTIMATED_BYTES_PER_TOKEN + answer_tokens


def with_judges(used: Need, relay: Relay) -> Need:
    """Returns the tokens of a call, `used`, with those that the judges of its guards have used so far."""
    if relay.guard_session is None:
        return used
    prompt, answer = relay.guard_session.spent
    return Need(prompt=used.prompt + prompt, answer=used.answer + answer)


def used_by(relay: Relay, body: bytes) -> Need:
    """Returns the tokens that a call took, as far as its answer came, without those of its guards' judges.

    `relay`: that passed the answer on; `body`: of the request.
    """
    transcript = relay.transcript
    if transcript is not None and transcript.answer_count:
        return Need(prompt=transcript.prompt_count, answer=transcript.answer_count)
    told = _told(relay.tail)
    if told is not None:
        return told
    if not relay.events:
        return NOTHING
    return Need(prompt=len(body) // _ESTIMATED_BYTES_PER_TOKEN, answer=relay.events)


def _told(tail: bytes) -> Need | None:
    """Reads the last `usage` in the end of an answer, None where there is none."""
    if b'"usage"' not in tail:
        return None
    # A document has no such line, nor, nearly always, the word.
    events = tail.split(b"\n") if b"data:" in tail else ()
    lines = [line[5:] for line in events if line.startswith(b"data:")] or [tail]
    for line in reversed(lines):
        if b'"usage"' not in line:
            continue
        try:
            answer = _ANSWER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        usage = answer.usage or (answer.response.usage if answer.response else None)
        if usage is not None:
            return Need(
                prompt=usage.prompt_tokens or usage.input_tokens or 0,
                answer=usage.completion_tokens or usage.output_tokens or 0,
            )
    return None
