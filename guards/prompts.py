"""Prompt texts: a walk over all texts of a request, for every endpoint. Pure."""

import re
from collections.abc import Callable
from typing import Any

from patchbay.core.errors import InvalidRequest

# The fields of all endpoints that hold texts.
_FIELDS = (
    *("messages", "prompt", "input", "system", "instructions", "suffix", "instruction"),
    *("query", "queries", "documents", "items", "data_1", "data_2", "text_1", "text_2"),
)
# Keys whose strings belong to the protocol. Every other string below a text field is a text.
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
# Keys that may hold a file's bytes, which are no text, as a data URL. Source: RFC 2397.
_FILES = frozenset(["url", "image_url", "audio_url", "video_url", "file_data"])
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,[A-Za-z0-9+/=_-]*")
_INSTRUCTIONS = ("system", "instructions")
_INSTRUCTING = ("system", "developer")
# Roles whose texts come from the application or from the model itself.
TRUSTED = ("system", "developer", "assistant")
# Takes a text, its role, and whether it is inside JSON. Returns the text that takes its place.
Visit = Callable[[str, str, bool], str]


def visit_texts(fields: dict[str, Any], visit: Visit) -> None:
    """Calls `visit` with each text of a request, and puts what it returns in its place.

    Raises InvalidRequest where the prompt is token ids, which cannot be read here.
    """
    for name in ("prompt", "input"):
        prompt = fields.get(name)
        if isinstance(prompt, list) and any(isinstance(item, int) or _is_ids(item) for item in prompt):
            raise InvalidRequest(
                "Guards read this route's prompts, so the prompt must be text and not token ids.", param=name
            )
    for name in _FIELDS:
        if name in fields:
            role = "system" if name in _INSTRUCTIONS else "user"
            fields[name] = _visit_all(fields[name], name, role, visit)


def system_prompt(fields: dict[str, Any]) -> str:
    """Returns the instructions that come before the conversation, which its users must not see."""
    return _texts_of(lambda role: role in _INSTRUCTING, fields)


def untrusted_text(fields: dict[str, Any]) -> str:
    """Returns the texts of a request that come from outside: users' turns and tools' results."""
    return _texts_of(lambda role: role not in TRUSTED, fields)


def _texts_of(has_role: Callable[[str], bool], fields: dict[str, Any]) -> str:
    texts: list[str] = []

    def note(text: str, role: str, escaped: bool) -> str:
        if has_role(role):
            texts.append(text)
        return text

    visit_texts(dict(fields), note)
    return "\n".join(texts)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int)


def _visit_all(value: Any, name: str, role: str, visit: Visit) -> Any:
    if isinstance(value, str):
        if not value or name in _NEUTRAL or (name in _FILES and _DATA_URL.fullmatch(value)):
            return value
        return visit(value, role, name == "arguments")
    if isinstance(value, list):
        return [_visit_all(item, name, role, visit) for item in value]
    if isinstance(value, dict):
        own_role = value.get("role")
        role = own_role if isinstance(own_role, str) else role
        # An image's bytes are no text.
        is_image = value.get("type") == "base64"
        return {
            key: item if is_image and key == "data" else _visit_all(item, key, role, visit)
            for key, item in value.items()
        }
    return value
