"""Prompt texts: a walk over all texts of a request, for every endpoint. Pure."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from patchbay.core.errors import InvalidRequest
from patchbay.guards.formats.protocol import request_places
from patchbay.guards.formats.walk import Spot, walked

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


class PromptText(NamedTuple):
    """A text of a request. `role`: whose it is; `escaped`: whether it is inside JSON; `lead`: the keys above it, as
    JSON writes them, in JSON that the client chose."""

    text: str
    role: str
    escaped: bool
    lead: str


def visit_texts(endpoint: str, fields: dict[str, Any], visit: Visit) -> None:
    """Calls `visit` with each text of a request; see `visit_prompt`."""
    visit_prompt(endpoint, fields, lambda one: visit(one.text, one.role, one.escaped))


def visit_prompt(endpoint: str, fields: dict[str, Any], visit: Callable[[PromptText], str]) -> None:
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

    def visited(text: str, spot: Spot) -> str:
        return visit(PromptText(text, spot.within, spot.name in _JSON_KEYS, spot.lead))

    top = request_places(endpoint)
    for name, value in list(fields.items()):
        spot = Spot(top.below(name), name=name, within=_ROLES.get(name, "application"))
        fields[name] = walked(value, spot, visited, _role_in)


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


def texts_in(endpoint: str, fields: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Returns all texts of a request, each with whether it is inside JSON."""
    texts: list[tuple[str, bool]] = []

    def note(text: str, role: str, escaped: bool) -> str:
        texts.append((text, escaped))
        return text

    visit_texts(endpoint, dict(fields), note)
    return texts


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


def _role_in(value: Mapping[str, Any], spot: Spot) -> str:
    """Returns the role that the object `value` has or stands for."""
    if spot.place.kind == "free":
        return spot.within
    own = value.get("role")
    role = "tool" if value.get("type") in _TOOL_RESULTS else own if isinstance(own, str) else spot.within
    if role == "user" and value.get("type") in _DOCUMENTS:
        return "document"
    return "tool" if role == "function" else role
