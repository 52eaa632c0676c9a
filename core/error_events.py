"""The last event of a stream that ends in an error, as clients of each wire format expect it. Pure.

Sources: https://platform.openai.com/docs/api-reference/responses-streaming/error and the `openai` package's
`ResponseErrorEvent`; https://docs.anthropic.com/en/docs/build-with-claude/streaming, error events; the `Stream` classes
of both packages.
"""

import json
import re
from typing import Literal

# Chats and completions share a form; OpenAI's responses and Anthropic's messages have their own.
Form = Literal["chat", "responses", "messages"]
_NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')


def form_of(path: str) -> Form:
    """Returns the form of the streams at an endpoint's `path`."""
    if path.startswith("/v1/messages"):
        return "messages"
    return "responses" if path.startswith("/v1/responses") else "chat"


def error_event(form: Form, body: bytes, before: bytes = b"") -> bytes:
    """Makes the event that reports an error in a stream.

    `body`: the error as JSON, in Anthropic's shape for `messages`, else in OpenAI's; `before`: the events that the
    client was sent last. The event of a response continues their sequence numbers.
    """
    if form == "chat":
        return b"data: " + body + b"\n\n"
    data = body if form == "messages" else _response_event(body, before)
    return b"event: error\ndata: " + data + b"\n\n"


def _response_event(body: bytes, before: bytes) -> bytes:
    """Makes the data of a response's event: the documented fields, and the error itself.

    OpenAI's own client raises an error only where `error` is there.
    """
    error = json.loads(body)["error"]
    sequence_numbers = _NUMBER.findall(before)
    event = {
        "type": "error",
        "code": error["code"] or error["type"],
        "message": error["message"],
        "param": error["param"],
        "sequence_number": int(sequence_numbers[-1]) + 1 if sequence_numbers else 0,
        "error": error,
    }
    return json.dumps(event, ensure_ascii=False).encode()
