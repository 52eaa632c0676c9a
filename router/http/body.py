"""Of a request's body only what routing needs."""

import re

import msgspec

from patchbay.core.errors import InvalidRequest
from patchbay.core.json_body import UNREADABLE, decoded, encoded, unreadable

_NOTHING = msgspec.Raw()


class Prompt(msgspec.Struct, frozen=True):
    """What a prompt is made from, as JSON that nobody has parsed. `system`: what goes before `text`, in requests that
    have a field for it."""

    text: msgspec.Raw = _NOTHING
    system: msgspec.Raw = _NOTHING


class Head(msgspec.Struct, frozen=True):
    """What the router reads of a request; every other field passes through unread."""

    model: str
    stream: bool | None = None
    messages: msgspec.Raw = _NOTHING
    prompt: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    system: msgspec.Raw = _NOTHING
    instructions: msgspec.Raw = _NOTHING

    @property
    def beginning(self) -> Prompt:
        """What the prompt is made from, whichever endpoint this is for."""
        text = next((raw for raw in (self.messages, self.prompt, self.input) if _given(raw)), _NOTHING)
        return Prompt(text, self.system if _given(self.system) else self.instructions)


def _given(raw: msgspec.Raw) -> bool:
    return memoryview(raw).nbytes > 0


_HEAD = msgspec.json.Decoder(Head)
_FIELD = re.compile(r"`\$\.(?P<at>\w+)`$|missing required field `(?P<missing>\w+)`")


def parse_head(body: bytes) -> Head:
    """`model` and `stream` of a request's JSON body. Raises InvalidRequest, with the field at fault where one is."""
    try:
        # What is not read is not looked at either, and whoever reads it later would find it out.
        return _HEAD.decode(body if body.isascii() else body.decode())
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error)) from error
    except UNREADABLE as error:
        raise unreadable(error) from error


# What begins `\u` in a name that says "model" in escapes, and seldom stands elsewhere.
_ESCAPED_LETTER = b"\\u006"


def with_one_model(body: bytes) -> bytes:
    """`body`, whose head was read, with `model` said once: of two one server reads the last, as we do, and another may
    read the first. Raises InvalidRequest."""
    if body.count(b'"model"') == 1 and _ESCAPED_LETTER not in body:
        return body
    return encoded(decoded(body))


def _wrong_field(fault: str) -> InvalidRequest:
    match = _FIELD.search(fault)
    if match is None:
        return InvalidRequest("The body of your request must be a JSON object.")
    if match["missing"]:
        return InvalidRequest(f"You must provide a '{match['missing']}' parameter.", param=match["missing"])
    expected = fault.partition(" - at ")[0].replace("`", "'")
    return InvalidRequest(f"Invalid type for '{match['at']}': {expected}.", param=match["at"])
