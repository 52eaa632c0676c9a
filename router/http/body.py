"""Parser of the few fields of a request's JSON body that routing needs. All other fields stay unparsed."""

import re

import msgspec

from patchbay.core.errors import InvalidRequest
from patchbay.core.json_body import UNREADABLE, decoded, encoded, unreadable

_ABSENT = msgspec.Raw()


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Unparsed JSON from which the engine makes the prompt. `text`: the messages, the prompt or the input; `system`:
    the instructions before it, in requests that have a field for them."""

    text: msgspec.Raw = _ABSENT
    system: msgspec.Raw = _ABSENT


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of a request that the router reads. Every other field passes through unread."""

    model: str
    stream: bool | None = None
    messages: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    system: msgspec.Raw = _ABSENT
    instructions: msgspec.Raw = _ABSENT

    @property
    def beginning(self) -> Prompt:
        """The parts that the prompt is made from, whichever endpoint the request is for."""
        text = next((raw for raw in (self.messages, self.prompt, self.input) if _is_present(raw)), _ABSENT)
        return Prompt(text=text, system=self.system if _is_present(self.system) else self.instructions)


def _is_present(raw: msgspec.Raw) -> bool:
    return memoryview(raw).nbytes > 0


_HEAD = msgspec.json.Decoder(Head)
_FIELD = re.compile(r"`\$\.(?P<at>\w+)`$|missing required field `(?P<missing>\w+)`")


def parse_head(body: bytes) -> Head:
    """Reads the `Head` of a request's JSON body. Raises InvalidRequest, with the field at fault where one is."""
    try:
        # msgspec does not check the UTF-8 of fields that it skips. Whoever reads those later would fail, so it is
        # checked here; for ASCII there is nothing to check.
        return _HEAD.decode(body if body.isascii() else body.decode())
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error)) from error
    except UNREADABLE as error:
        raise unreadable(error) from error


# Every letter of "model" escapes to this and one more digit. A body without it has no escaped spelling of the name.
_ESCAPED_LETTER = b"\\u006"


def with_one_model(body: bytes) -> bytes:
    """Returns `body` with exactly one `model` field. Raises InvalidRequest.

    `body`: JSON whose head was read already. Of two `model` fields the router reads the last; another server may read
    the first, and so answer with a model that the client's key does not open.
    """
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
