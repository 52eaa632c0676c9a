"""Passing an answer on as it arrives: whole reads, never single events.

Of an event stream only whole events are passed on: what follows the last event's end waits for the next read. So at
any moment an error event can be added that clients can read, or another replica can go on, should the replica die. The
bytes stay the same.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from patchbay.core.asgi import Headers
from patchbay.core.error_events import Form, error_event
from patchbay.core.errors import GuardFailed, RequestError, anthropic_body, openai_body
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.sse import WholeEvents
from patchbay.guards.session import GuardSession
from patchbay.guards.stream_gate import StreamGate
from patchbay.router.carry.transcript import Transcript
from patchbay.router.http.request import Reply
from patchbay.router.upstream.client import Answer
from patchbay.router.upstream.failure import ReplicaFailure

_ENDS = (b"\n\n", b"\r\n\r\n")
_DONE = b"[DONE]"
_HOLD_LIMIT = 64 * 1024
_WHOLE_LIMIT = 64 * 1024 * 1024


class _Choice(msgspec.Struct, frozen=True):
    finish_reason: str | None = None


class _Last(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    usage: Any = None


_LAST = msgspec.json.Decoder(_Last)


class Relay:
    """One answer on its way to the client. `form`: of the errors that its client expects;
    `sent_bytes`: how much of its body the client was sent; `events`: how many events of a stream without a transcript;
    `copy`: takes what the client is sent, where it is set; `transcript`: what is needed to go on elsewhere, for a
    stream where that is known; `guard_session`: what filters the answer, where anything does; `cleared`: is over once
    the prompt may be answered, and fails where it may not."""

    def __init__(self, reply: Reply, form: Form = "chat") -> None:
        self._reply = reply
        self._form = form
        self._held = b""
        self._whole_events: WholeEvents | None = None
        self._last = self._before = b""
        self._translate: Callable[[bytes], bytes] | None = None
        self._ends_with_done = False
        self.transcript: Transcript | None = None
        self.guard_session: GuardSession | None = None
        self._filter: Filter | None = None
        self._gate: StreamGate | None = None
        self.cleared: asyncio.Task[None] | None = None
        self.event_stream = False
        self.sent_bytes = 0
        self.events = 0
        self.copy: bytearray | None = None

    @property
    def tail(self) -> bytes:
        """What the answer ends with: the last reads of a stream, or the whole of another where that was held."""
        return self._before + self._last

    @property
    def status(self) -> int:
        """HTTP's, 0 before the answer's head is out."""
        return self._reply.status

    @property
    def head_sent(self) -> bool:
        """Whether the client has the answer's head."""
        return self._reply.started

    async def run(self, answer: Answer, extra: Headers, *, ends_with_done: bool) -> None:
        """Passes `answer` on with `extra` headers added.

        `ends_with_done`: whether an event stream is only whole with a last `data: [DONE]`. Raises ReplicaFailure where
        it is not whole: `resume` can go on with a stream, or `fail` tells the client.
        """
        if self.cleared is not None:
            await self.cleared
        self.event_stream = answer.status == 200 and answer.is_event_stream
        if self.event_stream:
            self._ends_with_done = ends_with_done
            headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
            self._reply.start(answer.status, headers + extra)
            if self.guard_session is not None:
                self._whole_events = WholeEvents()
                self._filter = self.guard_session.filter(self._used, self._pass)
                self._gate = self.guard_session.gate(self._filter)
            await self._stream(answer)
            return
        if self.guard_session is not None and 200 <= answer.status < 300:
            await self._filtered(answer, extra, self.guard_session)
            return
        self._reply.start(answer.status, answer.headers + extra)
        if not answer.whole:
            self._reply.follow(answer)
            await answer.pump(self._pass)
        self._last = answer.take()
        self._end(self._last)

    async def resume(self, answer: Answer, translate: Callable[[bytes], bytes] | None) -> None:
        """Goes on with a stream that broke, by another answer's events, each put through `translate`. Raises
        ReplicaFailure where that one breaks too."""
        self._held = b""
        if self._whole_events is not None:
            self._whole_events.forget()
        self._translate = translate
        await self._stream(answer)

    async def finish(self, events: bytes) -> None:
        """Ends a stream that broke with its last `events`."""
        try:
            self._let_through(events)
            self._end(await self._rest())
        except StreamStopped as stop:
            self._end(stop.last)

    def fail(self, error: RequestError, extra: Headers) -> None:
        """Tells the client of `error` in the way that is still open: as an answer, or as a stream's last event.

        Where neither is possible nothing more is sent, so that the connection is cut and the answer cannot pass for a
        whole one.
        """
        if self._reply.finished:
            return
        if not self.head_sent:
            self._refuse(error, extra)
        elif self.event_stream:
            self._end(error_event(self._form, self._body(error), self.tail))

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends an answer of the router's own."""
        self._reply.start(status, headers, length=len(body))
        self._end(body)

    def _refuse(self, error: RequestError, extra: Headers) -> None:
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in error.headers().items()]
        self.whole(error.status, [(b"content-type", b"application/json"), *headers, *extra], self._body(error))

    def _body(self, error: RequestError) -> bytes:
        return anthropic_body(error) if self._form == "messages" else openai_body(error)

    async def _filtered(self, answer: Answer, extra: Headers, guard_session: GuardSession) -> None:
        """Passes on an answer that is one document, once a guard has seen all of it."""
        await answer.gather(_WHOLE_LIMIT)
        if not answer.whole:
            raise GuardFailed(f"The answer is larger than {_WHOLE_LIMIT} bytes, so it was not let through.")
        self._last = answer.take()
        body = await guard_session.whole(self._last)
        headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
        self.whole(answer.status, headers + guard_session.headers(extra), body)

    def _used(self) -> tuple[int, int]:
        if self.transcript is not None and self.transcript.answer_count:
            return self.transcript.prompt_count, self.transcript.answer_count
        return 0, self.events

    async def _stream(self, answer: Answer) -> None:
        if self._filter is None:
            self._reply.follow(answer)
        else:
            self._filter.reads_from(answer)
            self._reply.follow(self._filter)
        try:
            await self._pumped(answer)
            if held := self._taken_held():
                self._send_events(held)
            if self._ends_with_done and _DONE not in self._last[-32:] and not self._is_whole():
                raise ReplicaFailure("it ended its answer early", kind="disconnect")
            self._end(await self._rest())
        except StreamStopped as stop:
            self._end(stop.last)
        finally:
            if self._filter is not None:
                await self._filter.close()

    async def _pumped(self, answer: Answer) -> None:
        pump = answer.pump(self._events)
        try:
            await (pump if self._gate is None else self._gate.during(pump))
        except ReplicaFailure:
            # What came before it counts as sent: another goes on after that.
            if self._filter is not None:
                await self._filter.drain()
            raise

    def _is_whole(self) -> bool:
        """Whether a stream that ended in order, and not by `[DONE]`, is whole: comments may follow that, and some
        servers end after the finish reason. One with a transcript is rather given the rest of its events."""
        return ends_whole(self._before + self._last, by_reason=self.transcript is None)

    async def _rest(self) -> bytes:
        """What is still to go out once the replica has said all."""
        if self._gate is not None:
            await self._gate.drain()
        if self._filter is None:
            return b""
        return await self._filter.finish()

    def _let_through(self, events: bytes) -> None:
        """Passes a stream's next `events` on, as far as they may go out now."""
        if self._gate is not None:
            self._gate.put(events)
        elif self._filter is not None:
            self._filter.put(events)
        else:
            self._pass(events)

    def _taken_held(self) -> bytes:
        """What came after the last event's end, where nothing more comes."""
        held, self._held = self._held, b""
        return held if self._whole_events is None else self._whole_events.rest()

    def _events(self, data: bytes) -> None:
        if self._whole_events is not None:
            ready = self._whole_events.take(data)
        else:
            ready, self._held = split_events(self._held + data if self._held else data)
        if ready:
            self._send_events(ready)

    def _send_events(self, events: bytes) -> None:
        transcript = self.transcript
        if transcript is not None:
            events = transcript.strip(events)
            if self._translate is not None:
                events = self._translate(events)
            if not events:
                return
            transcript.note(events)
        else:
            self.events += events.count(_ENDS[0])
        self._before, self._last = self._last, events
        if self._gate is None and self._filter is None:
            self._pass(events)
        else:
            self._let_through(events)

    def _pass(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        if self.copy is not None:
            self.copy += data
        self._reply.write(data)

    def _end(self, data: bytes = b"") -> None:
        self.sent_bytes += len(data)
        if self.copy is not None:
            self.copy += data
        self._reply.end(data)


def ends_whole(events: bytes, *, by_reason: bool) -> bool:
    """Whether `events`, the last of a stream of completions, are its end: by `[DONE]`, or, `by_reason`, by an event
    with a finish reason that nothing but the count of tokens follows."""
    for line in reversed(events.splitlines()):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == _DONE:
            return True
        try:
            last = _LAST.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if last.choices:
            return by_reason and all(choice.finish_reason for choice in last.choices)
        if last.usage is None:
            return False
    return False


def split_events(data: bytes) -> tuple[bytes, bytes]:
    """`data` up to the end of its last whole event, and the rest.

    A rest over 64 KiB counts as whole, which bounds what is held for a replica that ends no event: for streams that
    nobody reads on their way.
    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (events end with an empty line).
    """
    if data.endswith(_ENDS):
        return data, b""
    cut = max(data.rfind(end) + len(end) if end in data else 0 for end in _ENDS)
    if len(data) - cut > _HOLD_LIMIT:
        return data, b""
    return data[:cut], data[cut:]
