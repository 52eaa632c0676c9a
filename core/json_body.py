"""The JSON bodies of requests: reading and writing them, with errors that a client can use."""

import math
from typing import Any, TypeVar

import msgspec

from patchbay.core.errors import InvalidRequest

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Decoded = TypeVar("Decoded")


def read_float(text: str) -> float:
    """A float as Python reads it: msgspec takes fifty times as long for those that have many digits or large exponents,
    and keeps the interpreter's lock meanwhile, which a function of Python's does not."""
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number out of range")
    return value


_ANY = msgspec.json.Decoder(float_hook=read_float)


def unreadable(error: Exception) -> InvalidRequest:
    """What a client is told of a body that could not be read: `error` is one of UNREADABLE."""
    if isinstance(error, RecursionError):
        return InvalidRequest("The JSON body of your request is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest("The JSON body of your request is not UTF-8.")
    return InvalidRequest(f"We could not parse the JSON body of your request: {error}.")


def decoded(body: bytes | msgspec.Raw) -> Any:
    """What a request's JSON body holds, all of it. Raises InvalidRequest: a field that nobody had read yet may not be
    as JSON has it."""
    return decoded_by(_ANY, body)


def decoded_by(decoder: "msgspec.json.Decoder[Decoded]", body: bytes | msgspec.Raw | memoryview) -> Decoded:
    """What `decoder` finds in a request's JSON body. Raises InvalidRequest."""
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from error


def encoded(fields: Any) -> bytes:
    """A request's body from its fields. Raises InvalidRequest where they are nested too deeply to be written."""
    try:
        return msgspec.json.encode(fields)
    except RecursionError as error:
        raise InvalidRequest("The JSON body of your request is nested too deeply.") from error
