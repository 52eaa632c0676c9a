"""Prompt texts: a walk over all texts of a request, for every endpoint. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from patchbay.core.errors import InvalidRequest
from patchbay.guards.formats.protocol import FormatPlace, request_places

_INSTRUCTING = ("system", "developer")
# Roles whose texts come from the application or from the model itself.
TRUSTED = ("system", "developer", "assistant", "application")
# The roles of the texts in fields that have none of their own. All other fields are the application's.
_ROLES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("system", "instructions"), "system"),
        **dict.fromkeys(("messages", "prompt", "input", "suffix", "query", "queries"), "user"),
        **dict.fromkeys(("data_1", "data_2", "text_1", "text_2"), "user"),
        **dict.fromkeys(("documents", "items"), "document"),
    }
)
# Roles whose texts were written by anybody.
DOCUMENT_ROLES = frozenset(["tool", "document"])
# Parts of a turn that are documents, and what a tool has answered.
_DOCUMENTS = ("document", "search_result")
_TOOL_RESULTS = ("tool_result", "function_call_output", "custom_tool_call_output", "mcp_call")
# Keys whose text is itself a JSON document.
_JSON_KEYS = ("arguments",)
# The fields that a conversation may be in, and the characters of a plain prompt that name its session.
_CONVERSATIONS = ("messages", "input", "prompt")
_START_CHARS = 256
# Takes a text, its role, and whether it is inside JSON. Returns the text that takes its place.
Visit = Callable[[str, str, bool], str]


def visit_texts(endpoint: str, fields: dict[str, Any], visit: Visit) -> None:
    """Calls `visit` with each text of a request to `endpoint`, and puts what it returns in its place.

    Texts are all strings that do not belong to the wire format; of JSON that the client chose, the keys and long
    numbers as well. Raises InvalidRequest where the prompt is token ids, which cannot be read here.
    """
    for name in ("prompt", "input"):
        prompt = fields.get(name)
        if isinstance(prompt, list) and any(isinstance(item, int) or _is_ids(item) for item in prompt):
            raise InvalidRequest(
                "Guards read this route's prompts, so the prompt must be text and not token ids.", param=name
            )
    top = request_places(endpoint)
    for name, value in list(fields.items()):
        fields[name] = _Spot(
            place=top.below(name), name=name, role=_ROLES.get(name, "application"), visit=visit
        ).visited(value)


def system_prompt(endpoint: str, fields: dict[str, Any]) -> str:
    """Returns the instructions that come before the conversation, which its users must not see."""
    return _texts_of(endpoint, lambda role: role in _INSTRUCTING, fields)


def conversation_start(fields: Mapping[str, Any]) -> str:
    """Returns the beginning of a conversation, which all of its turns have: its first message that is no instruction;
    of a prompt without messages its first characters."""
    for name in _CONVERSATIONS:
        turns = fields.get(name)
        if isinstance(turns, str):
            return turns[:_START_CHARS]
        for turn in turns if isinstance(turns, list) else ():
            if not isinstance(turn, dict) or turn.get("role") not in _INSTRUCTING:
                return json.dumps(turn, sort_keys=True)
    return ""


def document_texts(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the texts of a request's `documents`, in the form that vLLM takes: each an object of strings."""
    documents = fields.get("documents")
    return tuple(
        " ".join(value for value in document.values() if isinstance(value, str))
        if isinstance(document, dict)
        else str(document)
        for document in (documents if isinstance(documents, list) else ())
    )


def untrusted_text(endpoint: str, fields: dict[str, Any]) -> str:
    """Returns the texts of a request that come from outside: users' turns, documents and tools' results."""
    return _texts_of(endpoint, lambda role: role not in TRUSTED, fields)


def _texts_of(endpoint: str, has_role: Callable[[str], bool], fields: dict[str, Any]) -> str:
    texts: list[str] = []

    def note(text: str, role: str, escaped: bool) -> str:
        if has_role(role):
            texts.append(text)
        return text

    visit_texts(endpoint, dict(fields), note)
    return "\n".join(texts)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], int)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A spot of the walk. `place`: its place in the format; `name`: the key above it; `role`: whose texts are there."""

    place: FormatPlace
    name: str
    role: str
    visit: Visit

    def visited(self, value: Any) -> Any:
        """Returns the value at this spot with its texts visited."""
        if isinstance(value, str):
            is_text = value and self.place.is_text(self.name, value)
            return self.visit(value, self.role, self.name in _JSON_KEYS) if is_text else value
        if isinstance(value, list):
            return [self.visited(item) for item in value]
        if isinstance(value, dict):
            return self._object(value, self._role_in(value))
        return self._number(value)

    def _object(self, value: dict[str, Any], role: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in value.items():
            spot = _Spot(place=self.place.below(key), name=key, role=role, visit=self.visit)
            out[self._unused(self._key(key), out)] = spot.visited(item)
        return out

    def _key(self, key: str) -> str:
        return self.visit(key, self.role, False) if key and self.place.has_text_key(key) else key

    def _unused(self, key: str, out: Mapping[str, Any]) -> str:
        """Returns `key`, or another where two keys have become the same: no value may be lost."""
        if key not in out:
            return key
        return next(other for number in range(2, len(out) + 3) if (other := f"{key} {number}") not in out)

    def _number(self, value: Any) -> Any:
        if not self.place.is_text_number(value):
            return value
        text = str(value)
        return value if (visited := self.visit(text, self.role, False)) == text else visited

    def _role_in(self, value: dict[str, Any]) -> str:
        """Returns the role that the object `value` has or stands for."""
        if self.place.kind == "free":
            return self.role
        own = value.get("role")
        role = "tool" if value.get("type") in _TOOL_RESULTS else own if isinstance(own, str) else self.role
        if role == "user" and value.get("type") in _DOCUMENTS:
            return "document"
        return "tool" if role == "function" else role
