"""Token ids beside a streamed answer, for a router that is to carry it on elsewhere should this replica die.

vLLM is asked for them (`return_token_ids`), and they are moved out of the chunks into comments of the event stream,
which clients of event streams ignore and a router takes out: `: prompt 1,2,3` once, and `: ids 4,5` with each chunk.
"""

import re
from collections.abc import Mapping
from typing import Any

from patchbay.core.asgi import Message, Send

HEADER = b"x-patchbay-token-ids"
ENDPOINTS = frozenset({"/v1/chat/completions", "/v1/completions"})
# Outside of a string no quote follows a comma but a field's name, and within one every quote has a backslash before it.
_FIELD = re.compile(rb',"(?P<kind>prompt_token_ids|token_ids)":(?:\[(?P<ids>[\d, ]*)\]|null)')
_COMMENTS = {b"prompt_token_ids": b": prompt ", b"token_ids": b": ids "}


def wanted(path: str, fields: Mapping[str, Any], asked: bytes | None) -> bool:
    """Whether this request's token ids are to be told: the router asked, and the client did not, which has its own."""
    return asked is not None and path in ENDPOINTS and fields.get("stream") is True and "return_token_ids" not in fields


def moved(event: bytes) -> bytes:
    """`event`, one or more whole events, with the token ids as comments before it. Pure."""
    comments: list[bytes] = []

    def take(match: re.Match[bytes]) -> bytes:
        if match["ids"]:
            comments.append(_COMMENTS[match["kind"]] + match["ids"].replace(b" ", b"") + b"\n")
        return b""

    rest = _FIELD.sub(take, event)
    return b"".join(comments) + rest


class TokenIds:
    """A `send` that moves token ids into comments. vLLM sends whole events."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body" and (body := message.get("body")):
            message["body"] = moved(body)
        await self._send(message)
