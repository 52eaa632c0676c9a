"""The facts of a request that rules and splits look at. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from patchbay.core.json_body import decoded_by, read_float

_NO_METADATA: Mapping[str, str] = {}
# A longer text says nothing more about the task, and regular expressions take time.
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
    """The facts of a request that decide its route.

    `text`: the user's last message; `context`: the instructions before it; `headers`: by name in lower case; `tools`:
    whether there are any; `caller`: bytes that stand for the caller, the same as long as it should stay in its arm.
    """

    text: str = ""
    context: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=lambda: _NO_METADATA)
    tools: bool = False
    caller: bytes = b""


def facts_of(body: bytes, headers: Iterable[tuple[bytes, bytes]], fallback: bytes) -> RequestFacts:
    """Reads the facts of a request. Raises InvalidRequest where it cannot be read.

    `body`: a JSON object; `fallback`: the caller, where neither a session nor a user is named.
    """
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
    """Returns the caller, empty where none is named. A session goes before a user, since the caller chose it; `user_id`
    is Anthropic's field."""
    if session := headers.get(SESSION):
        return b"session:" + session.encode()
    named = user if isinstance(user, str) and user else metadata.get("user_id")
    return b"user:" + named.encode("utf-8", "surrogatepass") if named else b""


def _strings(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return _NO_METADATA
    return {str(key): text for key, text in value.items() if isinstance(text, str)}


def _last_user(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    own = [message for message in value if isinstance(message, dict) and message.get("role", "user") == "user"]
    if own:
        return _text(own[-1].get("content"))
    return next((text for text in reversed(value) if isinstance(text, str)), "")


def _system(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    messages = (message for message in value if isinstance(message, dict))
    instructions = [message for message in messages if message.get("role") in ("system", "developer")]
    return _text(instructions[0].get("content")) if instructions else ""


def _text(content: Any) -> str:
    """Joins the parts of a message that have text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
