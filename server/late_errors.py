"""A wrapper of the engine's application that reports errors raised after an answer has begun.

vLLM makes the head and the first two events of a streamed response before it checks what the engine is asked for. By
then an error cannot become a 400 any more: the connection is closed, which the reader must take for the death of the
replica. So these events are held back until there is a third. An error before it is an ordinary answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from patchbay.core.asgi import ASGIApp, Message, Receive, Scope, Send, is_event_stream
from patchbay.core.error_bodies import openai_error_body

# By path, the number of events that vLLM makes before it asks the engine: `response.created`, `response.in_progress`.
_BEFORE_WORK = {"/v1/responses": 2}
# Turns an error of vLLM's into an HTTP status and a message.
Explain = Callable[[BaseException], tuple[int, str]]


class LateErrors:
    """An ASGI application that wraps `app` and answers with its late errors. `explain` gives status and message."""

    def __init__(self, app: ASGIApp, explain: Explain) -> None:
        self._app = app
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        events = _HeldEvents(send=send, events=_BEFORE_WORK.get(scope["path"], 0))
        try:
            await self._app(scope, receive, events)
        except RuntimeError as error:
            # Starlette raises this where it has an answer for the cause, but a head was sent already.
            if error.__cause__ is None or not events.started:
                raise
            status, message = self._explain(error.__cause__)
            await (_refuse(send, status, message) if events.holding else _end_stream(send, status, message))


@dataclass(slots=True, kw_only=True)
class _HeldEvents:
    """A `send` that holds back the head of an event stream and its first events.

    `events`: the number of events to hold back; `started`: whether there was a head; `holding`: whether it is still
    held back; `kept`: the messages so far.
    """

    send: Send
    events: int
    started: bool = False
    holding: bool = False
    kept: list[Message] = field(default_factory=list)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.holding = True, bool(self.events) and is_event_stream(message)
        if self.holding and len(self.kept) <= self.events and message.get("more_body", True):
            self.kept.append(message)
            return
        self.holding = False
        held_back, self.kept = self.kept, []
        for each in (*held_back, message):
            await self.send(each)


async def _refuse(send: Send, status: int, message: str) -> None:
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = openai_error_body(message, error_type=kind)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _end_stream(send: Send, status: int, message: str) -> None:
    """Ends the stream with an error event as vLLM does for chats: `engine_errors` gives it the endpoint's form."""
    body = b"data: " + msgspec.json.encode({"error": {"message": message, "code": status}}) + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": False})
