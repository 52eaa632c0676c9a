"""The engine's errors, whole answers and last events of streams, in the form that clients of each endpoint expect.

vLLM gives a number as `code`, types that OpenAI does not know, and the same shape everywhere to what fails validation.
"""

import re
from typing import Any

import msgspec

from patchbay.core.asgi import Message, Send, is_event_stream
from patchbay.core.error_events import Form, error_event
from patchbay.core.errors import NotFinite, anthropic_error_body, openai_error_body

_VALIDATION = re.compile(r"\d+ validation errors?:")
# How vLLM tells of an error amid a stream of a chat; `late_errors` and `vllm_app` have all others do the same.
_ERROR_EVENT = b'data: {"error":'
_FAULT = re.compile(r"'loc': '([^']*)', 'msg': [\"']([^\"']*)[\"']")


class EngineErrors:
    """A `send` that lets answers through as they are, and gathers and rewrites JSON bodies of errors.

    The head of an event stream is sent with its first event: vLLM looks at much of a request only once it has made the
    head, and what it finds wrong then is an error like any other while nothing has gone out.

    `form`: of the endpoint's errors; `status`: the answer's HTTP status, 0 before there is one; `headers` are added to
    the answer's own.
    """

    def __init__(self, send: Send, form: Form) -> None:
        self._send = send
        self._form = form
        self._last = b""
        self._start: Message | None = None
        self._held: Message | None = None
        self._parts: list[bytes] = []
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.status = 0
        self._broke_off = False
        self._answered = False

    @property
    def outcome(self) -> str:
        """`ok`, `client_error`, `server_error`, or `cancelled` where there never was an answer."""
        if self.status == 0:
            return "cancelled"
        if self._broke_off:
            return "server_error"
        return "ok" if self.status < 400 else "client_error" if self.status < 500 else "server_error"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._start is None:
            await self._pass(message)
        else:
            await self._gather(message)

    async def _begin(self, message: Message) -> None:
        self.status = message["status"]
        message["headers"] = [*message.get("headers", ()), *self.headers]
        if self.status >= 400:
            self._start = message
        elif is_event_stream(message):
            self._held = message
        else:
            await self._send(message)

    async def _pass(self, message: Message) -> None:
        """A part of an answer that is no error so far."""
        body, head = message.get("body", b""), self._held
        is_error = body.startswith(_ERROR_EVENT)
        if head is not None and is_error:
            await self._answer_instead(head, body)
            return
        if head is not None and (body or not message.get("more_body", False)):
            self._held = None
            await self._send(head)
        if is_error:
            self._broke_off = _status_of(body) >= 500
            message["body"] = rewrite_event(body, self._form, self._last)
        self._last = body or self._last
        if self._held is None and not self._answered:
            await self._send(message)

    async def _answer_instead(self, head: Message, event: bytes) -> None:
        """An error before anything of a stream has gone out."""
        self.status = _status_of(event)
        self._answered, self._held = True, None
        body = rewrite_error(self.status, _first_data(event), anthropic=self._form == "messages")
        kept = [pair for pair in head["headers"] if pair[0].lower() not in (b"content-length", b"content-type")]
        kept += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._send({**head, "status": self.status, "headers": kept})
        await self._send({"type": "http.response.body", "body": body})

    async def _gather(self, message: Message) -> None:
        self._parts.append(message.get("body", b""))
        if message.get("more_body", False) or self._start is None:
            return
        start, body = self._start, rewrite_error(self.status, b"".join(self._parts), anthropic=self._form == "messages")
        kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def rewrite_event(event: bytes, form: Form, before: bytes = b"") -> bytes:
    """The first event of `event`, an error in vLLM's shape, in that of `form`; what follows it as it is. `before`: what
    went out last. Pure."""
    _, _, rest = event.partition(b"\n\n")
    error = rewrite_error(_status_of(event), _first_data(event), anthropic=form == "messages")
    return error_event(form, error, before) + rest


def _first_data(event: bytes) -> bytes:
    return event.partition(b"\n\n")[0].removeprefix(b"data: ")


def _status_of(event: bytes) -> int:
    """The status that vLLM gives an error event as its `code`; 500 where it gives none."""
    code = _error_fields(_first_data(event)).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def rewrite_error(status: int, body: bytes, *, anthropic: bool = False) -> bytes:
    """`body`, an error in vLLM's or FastAPI's shape, in OpenAI's or Anthropic's. Pure."""
    fields = _error_fields(body)
    message = _readable(fields.get("message")) or f"The engine answered with status {status}."
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
    return "model_not_found" if status == 404 else None


def _readable(message: Any) -> str:
    """vLLM prints a failed validation with the client's whole input: only what is wrong, and where, is kept."""
    if not isinstance(message, str):
        return ""
    faults = [f"{place.removeprefix('body.')}: {fault}" for place, fault in _FAULT.findall(message)]
    return "; ".join(faults) if faults and _VALIDATION.match(message) else message


def _error_fields(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else {}
    if isinstance(error, dict) and "detail" in error:
        return {"message": str(error["detail"])}
    return error if isinstance(error, dict) else {"message": str(error)}
