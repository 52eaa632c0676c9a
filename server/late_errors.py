"""Errors that the engine's application raises after its answer has begun, told to the client, not a cut connection.

vLLM makes the head and the first two events of a streamed response before it looks at what is asked of the engine.
What it finds wrong then can be no 400 any more: the connection is closed, which whoever reads it must take for a death
of the replica. So these events are held back until there is a third: an error before it is an answer like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from patchbay.core.asgi import ASGIApp, Message, Receive, Scope, Send, is_event_stream
from patchbay.core.errors import openai_error_body

# By path: events that are made before the engine is asked, `response.created` and `response.in_progress`.
_BEFORE_WORK = {"/v1/responses": 2}
# An error of vLLM's as a status and a message.
Explain = Callable[[BaseException], tuple[int, str]]


class LateErrors:
    """An ASGI application over `app`. `explain` says of an error of it what to answer."""

    def __init__(self, app: ASGIApp, explain: Explain) -> None:
        self._app = app
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = _Held(send, _BEFORE_WORK.get(scope["path"], 0))
        try:
            await self._app(scope, receive, held)
        except RuntimeError as error:
            # Starlette's: it knows how to answer the cause, but has sent a head already.
            if error.__cause__ is None or not held.begun:
                raise
            status, message = self._explain(error.__cause__)
            await (_refuse(send, status, message) if held.holding else _end(send, status, message))


@dataclass(slots=True)
class _Held:
    """A `send` that keeps the head of an event stream and its first events. `begun`: whether there was a head;
    `holding`: whether it is still kept."""

    send: Send
    events: int
    begun: bool = False
    holding: bool = False
    kept: list[Message] = field(default_factory=list)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.holding = True, bool(self.events) and is_event_stream(message)
        if self.holding and len(self.kept) <= self.events and message.get("more_body", True):
            self.kept.append(message)
            return
        self.holding = False
        kept, self.kept = self.kept, []
        for one in (*kept, message):
            await self.send(one)


async def _refuse(send: Send, status: int, message: str) -> None:
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = openai_error_body(message, error_type=kind)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _end(send: Send, status: int, message: str) -> None:
    """As vLLM ends a chat's stream: `engine_errors` puts it into the form of the endpoint."""
    body = b"data: " + msgspec.json.encode({"error": {"message": message, "code": status}}) + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": False})
