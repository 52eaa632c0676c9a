"""What rules and splits look at in a request. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from patchbay.core.json_body import decoded_by, read_float

_NO_METADATA: Mapping[str, str] = {}
# What is beyond says nothing more of the task, and regular expressions take their time.
_TEXT_LIMIT = 20_000
SESSION = "x-patchbay-session"


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    messages: Any = None
    prompt: Any = None
    input: Any = None
    system: Any = None
    instructions: Any = None
    tools: Any = None
    metadata: Any = None
    user: Any = None


_DECODER = msgspec.json.Decoder(_Body, float_hook=read_float)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """A request, as far as routes are chosen by it. `text`: what its user says last; `context`: the instructions before
    that; `caller`: what stands for who asks, the same as long as they are to stay in their arm."""

    text: str = ""
    context: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=lambda: _NO_METADATA)
    tools: bool = False
    caller: bytes = b""


def facts_of(body: bytes, headers: Iterable[tuple[bytes, bytes]], fallback: bytes) -> RequestFacts:
    """The facts of a request whose `body` is a JSON object. `fallback`: who asks, where neither a session nor a user is
    named. Raises InvalidRequest where it cannot be read."""
    given = decoded_by(_DECODER, body)
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    metadata = _strings(given.metadata)
    text = given.messages if given.messages is not None else given.input if given.input is not None else given.prompt
    context = _text(given.system if given.system is not None else given.instructions)
    return RequestFacts(
        text=_last_user(text)[:_TEXT_LIMIT],
        context=(context or _system(text))[:_TEXT_LIMIT],
        headers=named,
        metadata=metadata,
        tools=bool(given.tools),
        caller=_caller(named, metadata, given.user) or fallback,
    )


def _caller(headers: Mapping[str, str], metadata: Mapping[str, str], user: Any) -> bytes:
    """A session goes before a user: it is what the caller chose to be known by. `user_id` is Anthropic's word."""
    if session := headers.get(SESSION):
        return b"session:" + session.encode()
    named = user if isinstance(user, str) and user else metadata.get("user_id")
    return b"user:" + named.encode("utf-8", "surrogatepass") if named else b""


def _strings(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return _NO_METADATA
    return {str(key): one for key, one in value.items() if isinstance(one, str)}


def _last_user(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    said = [one for one in value if isinstance(one, dict) and one.get("role", "user") == "user"]
    if said:
        return _text(said[-1].get("content"))
    return next((one for one in reversed(value) if isinstance(one, str)), "")


def _system(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    told = [one for one in value if isinstance(one, dict) and one.get("role") in ("system", "developer")]
    return _text(told[0].get("content")) if told else ""


def _text(content: Any) -> str:
    """A message's text: all of its parts that have any."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
