"""The decoding and encoding of requests' JSON bodies, with errors that clients can use."""

import math
from typing import Any, TypeVar

import msgspec

from patchbay.core.errors import InvalidRequest

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Decoded = TypeVar("Decoded")


def read_float(text: str) -> float:
    """Reads a float as Python does. Raises ValueError where it is too large for one.

    msgspec takes fifty times as long for floats that have many digits or large exponents, and keeps the interpreter's
    lock meanwhile, which a Python function does not.
    """
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number out of range")
    return value


_ANY = msgspec.json.Decoder(float_hook=read_float)


def unreadable(error: Exception) -> InvalidRequest:
    """Makes the error for a client whose body could not be read. `error` is one of UNREADABLE."""
    if isinstance(error, RecursionError):
        return InvalidRequest("The JSON body of your request is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest("The JSON body of your request is not UTF-8.")
    return InvalidRequest(f"We could not parse the JSON body of your request: {error}.")


def decoded(body: bytes | msgspec.Raw) -> Any:
    """Decodes a request's whole JSON body.

    Raises InvalidRequest, even for a `msgspec.Raw` of a decoded body: a field that nobody has read may be malformed.
    """
    return decoded_by(_ANY, body)


def decoded_by(decoder: "msgspec.json.Decoder[Decoded]", body: bytes | msgspec.Raw | memoryview) -> Decoded:
    """Decodes a request's JSON body with `decoder`. Raises InvalidRequest."""
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from error


def encoded(fields: Any) -> bytes:
    """Encodes a request's fields as its body. Raises InvalidRequest where they are nested too deeply."""
    try:
        return msgspec.json.encode(fields)
    except RecursionError as error:
        raise InvalidRequest("The JSON body of your request is nested too deeply.") from error


def with_model(body: bytes, model: str) -> bytes:
    """Returns `body` with `model` in place of any that it names. Raises InvalidRequest where it is no JSON object."""
    fields = decoded(body)
    if not isinstance(fields, dict):
        raise InvalidRequest("The body of your request must be a JSON object.")
    return encoded({**fields, "model": model})
