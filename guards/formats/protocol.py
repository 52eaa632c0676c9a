"""Protocol places: the strings of requests and answers that belong to a wire format, and are no texts. Pure.

Every other string is read by guards, wherever it stands: a field that is not listed here is a text.

Source: vLLM's own models of requests, to which tests hold the tables; OpenAI's and Anthropic's references of answers.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal

from patchbay.guards.formats.protocol_words import WORDS

# `protocol`: fields of the format, of which the words that it knows are exempt; `free`: JSON that a client or a model
# chooses, in which nothing is; `opaque`: what the format has ids and sealed data in; `file`: a file's bytes.
PlaceKind = Literal["protocol", "free", "opaque", "file"]

_NO_WORDS: frozenset[str] = frozenset()
_LONG_NUMBER = 1_000_000
# The names of fields: small letters, and no more digits than `data_1` has.
_FIELD_NAME = re.compile(r"[a-z_]{1,40}[0-9]?")
# A file's bytes in a data URL, and without one. Source: RFC 2397.
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,[A-Za-z0-9+/=_-]*")
_BYTES = re.compile(r"[A-Za-z0-9+/=_-]*")

_CHAT_TOOLS = ("tools.function.parameters", "tools.input_schema", "tools.parameters", "tools.output_schema")
_ENGINE = ("chat_template_kwargs", "media_io_kwargs", "mm_processor_kwargs", "kv_transfer_params", "ec_transfer_params")
_FORMS = ("response_format.json_schema.schema", "response_format.structures.schema", "structured_outputs.json")
_ANY_FREE = ("metadata", "vllm_xargs", "logit_bias", *_ENGINE, *_CHAT_TOOLS, *_FORMS)
_MEDIA = tuple(
    f"{name}_{form}" for name in ("image", "audio", "video") for form in ("embeds", "embeds.*", "url", "url.url")
)


def _below(stem: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{stem}.{name}" for name in names)


_CHAT_FILES = _below("messages.content", (*_MEDIA, "input_audio.data", "file.file_data", "data"))
_INPUT_TOOLS = ("input.tools.parameters", "input.tools.input_schema", "input.tools.output_schema")
# The places of requests, by endpoint and kind, as names from the top; lists have no name.
_REQUESTS: Mapping[str, Mapping[PlaceKind, tuple[str, ...]]] = {
    "chat_completions": {
        "free": (*_ANY_FREE, "documents", "messages.tools.function.parameters"),
        "opaque": ("model", "cache_salt"),
        "file": _CHAT_FILES,
    },
    "completions": {"free": _ANY_FREE, "opaque": ("model", "cache_salt"), "file": ("prompt_embeds",)},
    "messages": {
        "free": (
            *(*_ANY_FREE, "system.input", "output_config.format.schema"),
            *_below("messages.content", ("input", "tool.definition.input_schema")),
        ),
        "opaque": ("model", "cache_salt", "messages.content.signature"),
        "file": ("messages.content.source.data", "messages.content.content.source.data", "messages.content.data"),
    },
    "responses": {
        "free": (*_ANY_FREE, *_INPUT_TOOLS, "text.format.schema", "prompt.variables", "input.action.env"),
        "opaque": ("model", "cache_salt", "previous_response_id", "input.encrypted_content"),
        "file": (
            *_below("input.content", ("image_url", "file_data")),
            *_below("input.output", ("image_url", "file_data")),
            "input.result",
        ),
    },
    "pooling": {
        "free": _ANY_FREE,
        "opaque": ("model", "cache_salt"),
        "file": _CHAT_FILES
        + tuple(
            f"{stem}.content.{name}"
            for stem in ("input", "query", "queries", "documents", "items", "data_1", "data_2")
            for name in _MEDIA
        ),
    },
}
_REQUEST_TABLES = {"count_tokens": "messages", "tokenize": "chat_completions", "detokenize": "completions"}
# The places of answers, whole ones and events.
_RESPONSE = ("id", "model", "output.id", "output.encrypted_content", "previous_response_id")
_ANSWERS: Mapping[str, Mapping[PlaceKind, tuple[str, ...]]] = {
    "chat_completions": {"opaque": ("id", "model", "system_fingerprint")},
    "completions": {"opaque": ("id", "model", "system_fingerprint")},
    "messages": {
        "free": ("content.input", "content_block.input"),
        "opaque": (
            *("id", "model", "message.id", "message.model"),
            *("content.signature", "content_block.signature", "delta.signature", "content.data", "content_block.data"),
        ),
    },
    "responses": {
        "free": tuple(
            stem + name
            for stem in ("", "response.")
            for name in ("metadata", "tools.parameters", "text.format.schema", "tool_choice.tools")
        ),
        "opaque": (
            *_RESPONSE,
            *_below("response", _RESPONSE),
            *("item_id", "item.id", "item.encrypted_content"),
        ),
    },
}


class FormatPlace:
    """A place in a request or an answer, with the places below it. `kind`: of the strings there."""

    __slots__ = ("_children", "kind")

    def __init__(self, kind: PlaceKind = "protocol") -> None:
        self.kind = kind
        self._children: dict[str, FormatPlace] = {}

    def below(self, name: str) -> "FormatPlace":
        """Returns the place of the field `name` of an object at this place. A list's items are at its own place."""
        if self.kind == "free":
            return self
        return self._children.get(name) or self._children.get("*", _UNLISTED)

    def is_text(self, name: str, value: str) -> bool:
        """Whether the string `value` at this place is a text, which guards read. `name`: the key that it is under."""
        if self.kind == "protocol":
            return value not in WORDS.get(name, _NO_WORDS)
        if self.kind == "file":
            return _DATA_URL.fullmatch(value) is None and (name.endswith("url") or _BYTES.fullmatch(value) is None)
        return self.kind == "free"

    def has_text_key(self, key: str) -> bool:
        """Whether the key of an object at this place is a text: one that the format cannot have, or any in JSON that a
        client or a model chose."""
        return self.kind == "free" or _FIELD_NAME.fullmatch(key) is None

    def is_text_number(self, value: object) -> bool:
        """Whether a value at this place is a number that may be a card's or a person's: a long one, in JSON that a
        client or a model chose."""
        if self.kind != "free" or isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return abs(value) >= _LONG_NUMBER

    def add(self, path: str, kind: PlaceKind) -> None:
        """Lists the place at `path` below this one, its names separated by dots; `*` is any name."""
        name, _, rest = path.partition(".")
        child = self._children.setdefault(name, FormatPlace())
        if rest:
            child.add(rest, kind)
        else:
            child.kind = kind


_UNLISTED = FormatPlace()
# JSON of which no format is known.
FREE = FormatPlace("free")


@cache
def request_places(endpoint: str) -> FormatPlace:
    """Returns the top of the places of an endpoint's requests."""
    name = _REQUEST_TABLES.get(endpoint, endpoint)
    return _top(_REQUESTS.get(name, _REQUESTS["pooling"]))


@cache
def answer_places(endpoint: str) -> FormatPlace:
    """Returns the top of the places of an endpoint's answers, whole ones and a stream's events."""
    return _top(_ANSWERS.get(endpoint, {}))


def _top(table: Mapping[PlaceKind, Iterable[str]]) -> FormatPlace:
    top = FormatPlace()
    for kind, paths in table.items():
        for path in paths:
            top.add(path, kind)
    return top
