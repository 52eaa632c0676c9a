"""The last event of a stream that ends in an error, as clients of each wire format expect it. Pure.

Sources: https://platform.openai.com/docs/api-reference/responses-streaming/error and the `openai` package's
`ResponseErrorEvent`; https://docs.anthropic.com/en/docs/build-with-claude/streaming, error events; the `Stream` classes
of both packages.
"""

import json
import re
from typing import Literal

# Chats and completions have one form; then there are OpenAI's responses, and Anthropic's messages.
Form = Literal["chat", "responses", "messages"]
_NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')


def form_of(path: str) -> Form:
    """The form of the streams at an endpoint's `path`."""
    if path.startswith("/v1/messages"):
        return "messages"
    return "responses" if path.startswith("/v1/responses") else "chat"


def error_event(form: Form, body: bytes, before: bytes = b"") -> bytes:
    """The event that tells of an error. `body`: it as JSON, in the shape of Anthropic for `messages`, else of OpenAI;
    `before`: what the client was sent last, whose number the event of a response goes on from."""
    if form == "chat":
        return b"data: " + body + b"\n\n"
    data = body if form == "messages" else _of_response(body, before)
    return b"event: error\ndata: " + data + b"\n\n"


def _of_response(body: bytes, before: bytes) -> bytes:
    """The fields of the event as they are documented, and the error itself: only where that is there does OpenAI's own
    client raise it."""
    error = json.loads(body)["error"]
    numbers = _NUMBER.findall(before)
    event = {
        "type": "error",
        "code": error["code"] or error["type"],
        "message": error["message"],
        "param": error["param"],
        "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
        "error": error,
    }
    return json.dumps(event, ensure_ascii=False).encode()
