"""Of a request's body only what routing needs."""

import re

import msgspec

from adapters.errors import InvalidRequest


class Head(msgspec.Struct, frozen=True):
    """What the router reads of a request; every other field passes through unread."""

    model: str
    stream: bool | None = None


_HEAD = msgspec.json.Decoder(Head)
_FIELD = re.compile(r"`\$\.(?P<at>\w+)`$|missing required field `(?P<missing>\w+)`")


def parse_head(body: bytes) -> Head:
    """`model` and `stream` of a request's JSON body. Raises InvalidRequest, with the field at fault where one is."""
    try:
        return _HEAD.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest("We could not parse the JSON body of your request.") from error
    except RecursionError as error:
        raise InvalidRequest("The JSON body of your request is nested too deeply.") from error


def _wrong_field(fault: str) -> InvalidRequest:
    match = _FIELD.search(fault)
    if match is None:
        return InvalidRequest("The body of your request must be a JSON object.")
    if match["missing"]:
        return InvalidRequest(f"You must provide a '{match['missing']}' parameter.", param=match["missing"])
    expected = fault.partition(" - at ")[0].replace("`", "'")
    return InvalidRequest(f"Invalid type for '{match['at']}': {expected}.", param=match["at"])
