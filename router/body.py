"""Reading a request's body once, and of it only what routing needs."""

import asyncio
import re

import msgspec

from adapters.asgi import Headers, Receive, header, receive_body
from adapters.errors import BodyTooLarge, InvalidRequest
from router.connection import ClientGone


class Head(msgspec.Struct, frozen=True):
    """What the router reads of a request; every other field passes through unread."""

    model: str
    stream: bool | None = None


_HEAD = msgspec.json.Decoder(Head)
_FIELD = re.compile(r"`\$\.(?P<at>\w+)`$|missing required field `(?P<missing>\w+)`")


async def read_body(receive: Receive, headers: Headers, *, limit_bytes: int, timeout_s: float) -> bytes:
    """The request's whole body.

    Raises BodyTooLarge as soon as it is known to be, InvalidRequest where it is not whole after `timeout_s`, and
    ClientGone where the client left.
    """
    if int(header(headers, b"content-length") or 0) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            body = await receive_body(receive, limit_bytes)
    except TimeoutError as error:
        raise InvalidRequest(f"The request's body did not arrive within {timeout_s:g} s.") from error
    if body is None:
        raise ClientGone
    return body


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
