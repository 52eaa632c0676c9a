"""How many tokens a call takes: at most, before it is made, and really, after it. Pure.

What a replica of ours streams is counted by its token ids; anything else by the `usage` that the answer ends with. A
plain server's stream that tells none is estimated by its events, a token each.
"""

from typing import Any

import msgspec

from router.body import decode_by
from router.relay import Relay
from router.tenants.limiter import Need

# What a chat template adds around the messages, where there is no system prompt in it.
_TEMPLATE_TOKENS = 64
_ESTIMATED_BYTES_PER_TOKEN = 4
_NONE = msgspec.Raw()


class _Size(msgspec.Struct, frozen=True):
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    n: Any = None
    best_of: Any = None

    @property
    def asked(self) -> int | None:
        """The tokens that each answer may have."""
        given = (self.max_completion_tokens, self.max_tokens, self.max_output_tokens)
        return next((one for one in given if isinstance(one, int) and one > 0), None)

    @property
    def choices(self) -> int:
        """How many answers are made."""
        return max([one for one in (self.n, self.best_of, 1) if isinstance(one, int)])


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


class _Answer(msgspec.Struct, frozen=True):
    usage: _Usage | None = None
    response: _Message | None = None


_SIZE = msgspec.json.Decoder(_Size)
_ANSWER = msgspec.json.Decoder(_Answer)


def asked_tokens(body: bytes) -> int | None:
    """What a request says that an answer may have, in tokens. Raises InvalidRequest where it cannot be read."""
    return decode_by(_SIZE, body).asked


def need_of(body: bytes, answer_tokens: int, bytes_per_token: float) -> Need:
    """The most that a call with `body` can take. `answer_tokens`: what an answer has where the request does not say.

    Raises InvalidRequest where it cannot be read.
    """
    size = decode_by(_SIZE, body)
    prompt = int(len(body) / bytes_per_token) + _TEMPLATE_TOKENS
    return Need(prompt, (size.asked or answer_tokens) * size.choices)


def guess_of(body: bytes, answer_tokens: float) -> float:
    """What a call is likely to take, in tokens, where answers of late had `answer_tokens`."""
    return len(body) / _ESTIMATED_BYTES_PER_TOKEN + answer_tokens


def used_by(relay: Relay, body: bytes) -> Need:
    """What a call took whose answer went through `relay`, as far as it came, with what guards asked for beside it."""
    own = _own(relay, body)
    prompt, answer = relay.guarded.spent if relay.guarded is not None else (0, 0)
    return Need(own.prompt + prompt, own.answer + answer)


def _own(relay: Relay, body: bytes) -> Need:
    transcript = relay.transcript
    if transcript is not None and transcript.answer_count:
        return Need(transcript.prompt_count, transcript.answer_count)
    told = _told(relay.tail)
    if told is not None:
        return told
    if not relay.events:
        return Need(0, 0)
    return Need(len(body) // _ESTIMATED_BYTES_PER_TOKEN, relay.events)


def _told(tail: bytes) -> Need | None:
    """The last `usage` that an answer's end tells."""
    lines = [line[5:] for line in tail.split(b"\n") if line.startswith(b"data:")] or [tail]
    for line in reversed(lines):
        if b'"usage"' not in line:
            continue
        try:
            answer = _ANSWER.decode(line)
        except msgspec.DecodeError:
            continue
        usage = answer.usage or (answer.response.usage if answer.response else None)
        if usage is not None:
            return Need(
                usage.prompt_tokens or usage.input_tokens or 0, usage.completion_tokens or usage.output_tokens or 0
            )
    return None
