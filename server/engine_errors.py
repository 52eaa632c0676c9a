"""The translation of the engine's errors into the form that clients of each endpoint expect.

An error is a whole answer or the last event of a stream. vLLM puts a number into `code`, uses types that OpenAI does
not know, and gives failed validations the same shape on every endpoint.
"""

from collections.abc import Callable

from patchbay.core.asgi import Message, Send, is_event_stream
from patchbay.core.error_events import Form, error_event
from patchbay.core.foreign_errors import error_fields, rewrite_error

# The event with which vLLM reports an error in the middle of a chat's stream; `late_errors` and `vllm_app` make all
# other endpoints do the same.
_ERROR_EVENT = b'data: {"error":'


class EngineErrors:
    """A `send` that passes answers on as they are, and collects and rewrites JSON bodies of errors.

    The head of an event stream is sent with its first event: vLLM checks much of a request only once it has made the
    head. What it finds wrong then can still be an ordinary error, as long as nothing was sent.

    An error of an engine that is dead goes nowhere: the answer is broken off, as by a process that died, so that a
    router has another replica answer, or go on with a stream.

    `form`: the form of the endpoint's errors; `is_dead`: says whether the engine is dead; `status`: the answer's HTTP
    status, 0 before there is one; `headers` are added to the answer's own; `head_sent`: whether its head has gone out;
    `broken_off`: whether nothing more of it goes out.
    """

    def __init__(self, send: Send, form: Form, is_dead: Callable[[], bool] = lambda: False) -> None:
        self._pass_on = send
        self._form = form
        self._is_dead = is_dead
        self.head_sent = self.broken_off = False
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
        if self.status == 0 and not self.broken_off:
            return "cancelled"
        if self._failed_midway or self.broken_off:
            return "server_error"
        return "ok" if self.status < 400 else "client_error" if self.status < 500 else "server_error"

    async def break_off(self) -> None:
        """Ends the answer without its rest: the server closes the connection of one that has begun and is not whole."""
        self.broken_off = True
        if not self.head_sent:
            await self._send({"type": "http.response.start", "status": 200, "headers": []})

    async def __call__(self, message: Message) -> None:
        if self.broken_off:
            return
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._error_head is None:
            await self._forward(message)
        else:
            await self._collect_error(message)

    async def _begin(self, message: Message) -> None:
        self.status = message["status"]
        if self.status >= 500 and self._is_dead():
            await self.break_off()
            return
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
        if is_error and _status_of(body) >= 500 and self._is_dead():
            await self.break_off()
            return
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

    async def _send(self, message: Message) -> None:
        self.head_sent = self.head_sent or message["type"] == "http.response.start"
        await self._pass_on(message)

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
    code = error_fields(_first_data(event)).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500
