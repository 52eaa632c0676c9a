"""Token ids beside a streamed answer, for a router that continues it on another replica should this one die.

vLLM is asked for them (`return_token_ids`), and they are moved out of the chunks into comments of the event stream,
which clients of event streams ignore and a router takes out: `: prompt 1,2,3` once, and `: ids 4,5` with each chunk.
"""

import re
from collections.abc import Mapping
from typing import Any

from patchbay.core.asgi import Message, Send

HEADER = b"x-patchbay-token-ids"
ENDPOINTS = frozenset({"/v1/chat/completions", "/v1/completions"})
# A regular expression is enough, without parsing: outside of a string only a field's name has a quote after a comma,
# and within a string every quote has a backslash before it.
_FIELD = re.compile(rb',"(?P<kind>prompt_token_ids|token_ids)":(?:\[(?P<ids>[\d, ]*)\]|null)')
_COMMENTS = {b"prompt_token_ids": b": prompt ", b"token_ids": b": ids "}


def is_requested(path: str, fields: Mapping[str, Any], asked: bytes | None) -> bool:
    """Says whether to send this request's token ids: the router asked (`asked`), and the client did not.

    A client that asks gets them itself, in the chunks.
    """
    return asked is not None and path in ENDPOINTS and fields.get("stream") is True and "return_token_ids" not in fields


def move_to_comments(event: bytes) -> bytes:
    """Moves the token ids of `event`, one or more whole events, into comments before it. Pure."""
    comments: list[bytes] = []

    def take(match: re.Match[bytes]) -> bytes:
        if match["ids"]:
            comments.append(_COMMENTS[match["kind"]] + match["ids"].replace(b" ", b"") + b"\n")
        return b""

    rest = _FIELD.sub(take, event)
    return b"".join(comments) + rest


class TokenIds:
    """A `send` that moves token ids into comments. It relies on vLLM, which sends whole events."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body" and (body := message.get("body")):
            message["body"] = move_to_comments(body)
        await self._send(message)
