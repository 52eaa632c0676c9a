"""The texts of a request, whichever endpoint it is for. Pure."""

import re
from collections.abc import Callable
from typing import Any

from patchbay.core.errors import InvalidRequest

_FIELDS = ("messages", "prompt", "input", "system", "instructions", "suffix")
# Words of the protocol. Every other string below a field of texts is one.
_NEUTRAL = frozenset(
    [
        "role",
        "type",
        "id",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "name",
        "media_type",
        "detail",
        "format",
        "file_id",
    ]
)
# Where a file's bytes may stand, which are no text, as a data URL. Source: RFC 2397.
_FILES = frozenset(["url", "image_url", "audio_url", "video_url", "file_data"])
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,[A-Za-z0-9+/=_-]*")
_INSTRUCTIONS = ("system", "instructions")
_INSTRUCTING = ("system", "developer")
# Whose texts are the application's or the model's own.
TRUSTED = ("system", "developer", "assistant")
# Is given a text, who says it, and whether it is inside JSON; what it gives back takes its place.
Visit = Callable[[str, str, bool], str]


def visit_texts(fields: dict[str, Any], visit: Visit) -> None:
    """Has `visit` look at each text of a request, and puts what it gives back in its place.

    Raises InvalidRequest where the prompt is token ids, which nobody can read here.
    """
    for name in ("prompt", "input"):
        prompt = fields.get(name)
        if isinstance(prompt, list) and any(isinstance(one, int) or _is_ids(one) for one in prompt):
            raise InvalidRequest(
                "Guards read this route's prompts, so the prompt must be text and not token ids.", param=name
            )
    for name in _FIELDS:
        if name in fields:
            role = "system" if name in _INSTRUCTIONS else "user"
            fields[name] = _visited(fields[name], name, role, visit)


def system_prompt(fields: dict[str, Any]) -> str:
    """What the model was told before the conversation: not for its users."""
    return _said_by(lambda role: role in _INSTRUCTING, fields)


def untrusted_text(fields: dict[str, Any]) -> str:
    """What comes from outside in a request: users' turns, and tools' results."""
    return _said_by(lambda role: role not in TRUSTED, fields)


def _said_by(who: Callable[[str], bool], fields: dict[str, Any]) -> str:
    found: list[str] = []

    def note(text: str, role: str, escaped: bool) -> str:
        if who(role):
            found.append(text)
        return text

    visit_texts(dict(fields), note)
    return "\n".join(found)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int)


def _visited(value: Any, name: str, role: str, visit: Visit) -> Any:
    if isinstance(value, str):
        if not value or name in _NEUTRAL or (name in _FILES and _DATA_URL.fullmatch(value)):
            return value
        return visit(value, role, name == "arguments")
    if isinstance(value, list):
        return [_visited(one, name, role, visit) for one in value]
    if isinstance(value, dict):
        said = value.get("role")
        role = said if isinstance(said, str) else role
        # An image's bytes are no text.
        image = value.get("type") == "base64"
        return {key: one if image and key == "data" else _visited(one, key, role, visit) for key, one in value.items()}
    return value
