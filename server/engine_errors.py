"""The translation of the engine's errors into the form that clients of each endpoint expect.

An error is a whole answer or the last event of a stream. vLLM puts a number into `code`, uses types that OpenAI does
not know, and gives failed validations the same shape on every endpoint.
"""

import ast
import itertools
import re
from typing import Any

import msgspec

from patchbay.core.asgi import Message, Send, is_event_stream
from patchbay.core.error_bodies import anthropic_error_body, openai_error_body
from patchbay.core.error_events import Form, error_event
from patchbay.core.errors import NotFinite

_VALIDATION = re.compile(r"\d+ validation errors?:")
# The event with which vLLM reports an error in the middle of a chat's stream; `late_errors` and `vllm_app` make all
# other endpoints do the same.
_ERROR_EVENT = b'data: {"error":'
# One fault of a failed validation, as vLLM prints it: Python's own notation, whose strings end with the quote that they
# began with.
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_VALIDATION_FAULT = re.compile(rf"'loc': (?P<place>{_STRING}), 'msg': (?P<fault>{_STRING})")
_MOST_FAULTS = 10
# Codes that OpenAI's clients know, by the words of vLLM's that stand for them.
_CODES = (
    (re.compile(r"maximum context length|longer than the maximum model length"), "context_length_exceeded"),
    (re.compile(r"^Response with id '.*' not found"), "previous_response_not_found"),
    (re.compile(r"^The model `.*` does not exist"), "model_not_found"),
)


class EngineErrors:
    """A `send` that passes answers on as they are, and collects and rewrites JSON bodies of errors.

    The head of an event stream is sent with its first event: vLLM checks much of a request only once it has made the
    head. What it finds wrong then can still be an ordinary error, as long as nothing was sent.

    `form`: the form of the endpoint's errors; `status`: the answer's HTTP status, 0 before there is one; `headers` are
    added to the answer's own.
    """

    def __init__(self, send: Send, form: Form) -> None:
        self._send = send
        self._form = form
        self._last_event = b""
        self._error_head: Message | None = None
        self._stream_head: Message | None = None
        self._error_parts: list[bytes] = []
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.status = 0
        self._failed_midway = False
        self._answered = False

    @property
    def outcome(self) -> str:
        """The outcome for metrics: `ok`, `client_error`, `server_error`, or `cancelled` where there was no answer."""
        if self.status == 0:
            return "cancelled"
        if self._failed_midway:
            return "server_error"
        return "ok" if self.status < 400 else "client_error" if self.status < 500 else "server_error"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._error_head is None:
            await self._forward(message)
        else:
            await self._collect_error(message)

    async def _begin(self, message: Message) -> None:
        self.status = message["status"]
        message["headers"] = [*message.get("headers", ()), *self.headers]
        if self.status >= 400:
            self._error_head = message
        elif is_event_stream(message):
            self._stream_head = message
        else:
            await self._send(message)

    async def _forward(self, message: Message) -> None:
        """Sends a part of an answer that is no error so far."""
        body, head = message.get("body", b""), self._stream_head
        is_error = body.startswith(_ERROR_EVENT)
        if head is not None and is_error:
            await self._answer_instead(head, body)
            return
        if head is not None and (body or not message.get("more_body", False)):
            self._stream_head = None
            await self._send(head)
        if is_error:
            self._failed_midway = _status_of(body) >= 500
            message["body"] = rewrite_event(body, self._form, self._last_event)
        self._last_event = body or self._last_event
        if self._stream_head is None and not self._answered:
            await self._send(message)

    async def _answer_instead(self, head: Message, event: bytes) -> None:
        """Answers with an error where a stream was to begin and nothing of it was sent yet."""
        self.status = _status_of(event)
        self._answered, self._stream_head = True, None
        body = rewrite_error(self.status, _first_data(event), anthropic=self._form == "messages")
        headers = [pair for pair in head["headers"] if pair[0].lower() not in (b"content-length", b"content-type")]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._send({**head, "status": self.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _collect_error(self, message: Message) -> None:
        self._error_parts.append(message.get("body", b""))
        if message.get("more_body", False) or self._error_head is None:
            return
        head, collected = self._error_head, b"".join(self._error_parts)
        body = rewrite_error(self.status, collected, anthropic=self._form == "messages")
        headers = [pair for pair in head["headers"] if pair[0].lower() != b"content-length"]
        head["headers"] = [*headers, (b"content-length", str(len(body)).encode())]
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})


def rewrite_event(event: bytes, form: Form, before: bytes = b"") -> bytes:
    """Rewrites an error event of vLLM's into the shape of `form`. Pure.

    `event` may have further events after the error: they stay as they are. `before`: the event that was sent last.
    """
    _, _, rest = event.partition(b"\n\n")
    error = rewrite_error(_status_of(event), _first_data(event), anthropic=form == "messages")
    return error_event(form, error, before) + rest


def _first_data(event: bytes) -> bytes:
    return event.partition(b"\n\n")[0].removeprefix(b"data: ")


def _status_of(event: bytes) -> int:
    """Returns the HTTP status that vLLM gives an error event as its `code`; 500 where it gives none."""
    code = _error_fields(_first_data(event)).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def rewrite_error(status: int, body: bytes, *, anthropic: bool = False) -> bytes:
    """Rewrites `body`, an error in vLLM's or FastAPI's shape, into OpenAI's shape or Anthropic's. Pure.

    `status`: the HTTP status of the answer; `anthropic`: whether the endpoint is Anthropic's.
    """
    fields = _error_fields(body)
    message = _readable_message(fields.get("message")) or f"The engine answered with status {status}."
    if anthropic:
        return anthropic_error_body(message, status=status)
    param = fields.get("param")
    code = fields.get("code")
    return openai_error_body(
        message,
        error_type="invalid_request_error" if status < 500 else "server_error",
        param=param.removeprefix("body.") if isinstance(param, str) else None,
        code=_code(code, message, status),
    )


def _code(code: Any, message: str, status: int) -> str | None:
    if isinstance(code, str):
        return code
    if message.startswith(NotFinite.LEAD):
        return NotFinite.code
    known = next((name for words, name in _CODES if words.search(message)), None)
    return known if status < 500 else None


def _readable_message(message: Any) -> str:
    """Returns the message without the client's input, which vLLM prints with a failed validation.

    Only what is wrong, and where, is kept.
    """
    if not isinstance(message, str):
        return ""
    if not _VALIDATION.match(message):
        return message
    found = list(itertools.islice(_VALIDATION_FAULT.finditer(message), _MOST_FAULTS))
    faults = [f"{_text(fault['place']).removeprefix('body.')}: {_text(fault['fault'])}" for fault in found]
    return "; ".join(dict.fromkeys(faults)) if faults else message


def _text(literal: str) -> str:
    """Returns the text that a string in Python's notation stands for."""
    try:
        return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        return literal[1:-1]


def _error_fields(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else {}
    if isinstance(error, dict) and "detail" in error:
        return {"message": str(error["detail"])}
    return error if isinstance(error, dict) else {"message": str(error)}
