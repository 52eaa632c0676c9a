"""Relay of an answer from a replica to the client, as it arrives: whole reads, never single events.

Of an event stream only whole events are passed on. What follows the last event's end waits for the next read. So at any
moment an error event can be added that clients can read, or another replica can go on, should the replica die. The
bytes stay the same.
"""

import asyncio
from collections.abc import Callable

from patchbay.core.asgi import Headers, header
from patchbay.core.error_bodies import anthropic_body, openai_body
from patchbay.core.error_events import Form, error_event
from patchbay.core.errors import AnswerUnreadable, RequestError
from patchbay.core.foreign_errors import rewrite_error
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.sse import WholeEvents
from patchbay.guards.session import GuardSession
from patchbay.guards.stream_gate import StreamGate
from patchbay.router.carry.transcript import Transcript
from patchbay.router.forward.answer_keeper import AnswerKeeper
from patchbay.router.forward.stream_ends import DONE, ENDS, ends_whole, split_events
from patchbay.router.http.request import Reply
from patchbay.router.upstream.client import Answer
from patchbay.router.upstream.failure import ReplicaFailure

_DOCUMENT_LIMIT = 64 * 1024 * 1024
# The head that a heartbeat sends ahead, and the comment that it is.
_EVENT_STREAM = (b"content-type", b"text/event-stream")
_HEARTBEAT = b":\n\n"
_JSON = (b"content-type", b"application/json")
_OF_BODY = (b"content-type", b"content-length", b"content-encoding", b"location")
_ERROR_LIMIT = 1024 * 1024
# They lead elsewhere, where no router sends a client's request.
REDIRECTIONS = frozenset({301, 302, 303, 307, 308})


class Relay:
    """Relay of one answer to the client, through its guards.

    `reply`: to the client; `form`: of the errors that the client expects. `event_stream`: whether the answer is one;
    `sent_bytes`: size of what was sent of the body; `events`: count of a stream's events, where it has no transcript;
    `copy`: collects what the client is sent, where it is set; `transcript`: what another replica needs to go on, for
    streams of replicas that tell it; `guard_session`: the guards on the answer, where there are any; `keeper`: who
    keeps the answer, where it is to be; `cleared`: a task that is over once the prompt may be answered, and fails where
    it may not.
    """

    def __init__(self, reply: Reply, form: Form = "chat") -> None:
        self._reply = reply
        self._form = form
        self._partial = b""
        # Set for a stream that guards or a keeper read.
        self._whole_events: WholeEvents | None = None
        # The last two reads of a stream: one alone may be too short to show its end.
        self._last = self._before_last = b""
        self._translate: Callable[[bytes], bytes] | None = None
        self._ends_with_done = False
        self.transcript: Transcript | None = None
        self.guard_session: GuardSession | None = None
        self.keeper: AnswerKeeper | None = None
        self._filter: Filter | None = None
        self._gate: StreamGate | None = None
        self.cleared: asyncio.Task[None] | None = None
        self.event_stream = False
        self._is_early = False
        self.sent_bytes = 0
        self.events = 0
        self.copy: bytearray | None = None

    @property
    def tail(self) -> bytes:
        """The end of the answer: the last two reads of a stream, or the whole body of a document that was gathered."""
        return self._before_last + self._last

    @property
    def status(self) -> int:
        """HTTP's, 0 before the answer's head is out."""
        return self._reply.status

    @property
    def head_sent(self) -> bool:
        """Whether the client has the head of an answer. One that a heartbeat sent ahead is not an answer's yet."""
        return self._reply.started and not self._is_early

    def beat(self, extra: Headers) -> None:
        """Sends a comment on a stream that is silent. Where nothing of it was sent, a head with `extra` goes first.

        What fails after that is told as an event, and no longer by a status.
        """
        reply = self._reply
        if reply.finished or reply.blocked or not self._is_between_events:
            return
        if not reply.started:
            self._is_early = True
            reply.start(200, [_EVENT_STREAM, *extra])
        reply.write(_HEARTBEAT)

    @property
    def _is_between_events(self) -> bool:
        if not self._reply.started or self._is_early:
            return True
        # What guards let out is always whole events.
        whole = self._whole_events is not None or not self._last or self._last.endswith(ENDS)
        return self.event_stream and whole

    async def run(self, answer: Answer, extra: Headers, *, ends_with_done: bool, foreign: bool = False) -> None:
        """Passes `answer` on with `extra` headers added.

        `ends_with_done`: whether an event stream is only whole with a last `data: [DONE]`; `foreign`: whether another
        server than ours made the answer, whose errors have a form of their own. Raises ReplicaFailure where
        the answer is not whole: then `resume` can go on with a stream, or `fail` tells the client. Raises
        AnswerUnreadable where a document is too large for guards, or not in its format.
        """
        if self.cleared is not None:
            await self.cleared
        self.event_stream = answer.status == 200 and answer.is_event_stream
        if self.event_stream:
            self._ends_with_done = ends_with_done
            headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
            self._start(answer.status, headers + extra)
            if self.guard_session is not None or self.keeper is not None:
                self._whole_events = WholeEvents()
            if self.guard_session is not None:
                self._filter = self.guard_session.filter(self._used, self._pass)
                self._gate = self.guard_session.gate(self._filter)
            await self._stream(answer)
            return
        is_error = answer.status >= 400 or answer.status in REDIRECTIONS
        if self._is_early or (is_error and (foreign or self.guard_session is not None)):
            await self._rewritten(answer, extra, is_ours=not foreign and not self._is_early)
            return
        if (self.guard_session is not None or self.keeper is not None) and 200 <= answer.status < 300:
            await self._gathered(answer, extra)
            return
        whole = answer.whole
        self._reply.start(answer.status, answer.headers + extra, body_is_here=whole)
        if not whole:
            self._reply.follow(answer)
            await answer.pump(self._pass)
        self._last = answer.take()
        self._end(self._last)

    async def resume(self, answer: Answer, translate: Callable[[bytes], bytes] | None) -> None:
        """Continues a stream that broke with the events of another answer.

        `translate`: turns each read of whole events into the shape of the first answer; None for no change. Raises
        ReplicaFailure where this answer breaks too.
        """
        # The rest of an event that never became whole. The client has nothing of it.
        self._partial = b""
        if self._whole_events is not None:
            self._whole_events.forget()
        self._translate = translate
        await self._stream(answer)

    async def finish(self, events: bytes) -> None:
        """Ends a stream that broke with its last `events`, where nothing else of it is missing."""
        try:
            self._pass_guards(events)
            self._end(await self._drain())
        except StreamStopped as stop:
            self._end(stop.last)

    def fail(self, error: RequestError, extra: Headers) -> None:
        """Tells the client of `error`: as an answer with `extra` headers, or as a stream's last event.

        Where neither is possible any more, nothing is sent. Then the connection is cut, so that the answer cannot pass
        for a whole one.
        """
        if self._reply.finished:
            return
        if self._is_early:
            self._end_early(self._body(error))
        elif not self.head_sent:
            self._refuse(error, extra)
        elif self.event_stream:
            self._end(error_event(self._form, self._body(error), self.tail))

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends a whole answer of the router's own."""
        if self._is_early and header(headers, b"content-type") == _EVENT_STREAM[1]:
            self._start(status, headers)
            self._end(body)
        elif self._is_early:
            self._end_early(self._in_form(status, body))
        else:
            self._reply.start(status, headers, length=len(body), body_is_here=True)
            self._end(body)

    def _start(self, status: int, headers: Headers) -> None:
        """Sends the head of a stream, unless a heartbeat has sent one."""
        if self._is_early:
            self._is_early = False
        else:
            self._reply.start(status, headers)

    def _end_early(self, error: bytes) -> None:
        """Ends a stream whose head went ahead with an event of `error`, its body, and of nothing else."""
        self._is_early, self.event_stream = False, True
        self._end(error_event(self._form, error))

    async def _rewritten(self, answer: Answer, extra: Headers, *, is_ours: bool) -> None:
        """Passes on a document that is an error, or where a stream was to be, in the form of the endpoint's errors.

        `is_ours`: whether it has that form already.
        """
        await answer.gather(_ERROR_LIMIT)
        self._last = answer.take()
        status = answer.status if answer.status >= 400 else 502
        headers = [pair for pair in answer.headers if pair[0] not in _OF_BODY]
        body = self._last if is_ours else self._in_form(status, self._last)
        if self.guard_session is not None:
            filtered = await self.guard_session.error(body)
            body = self._in_form(status, b"") if filtered is None else filtered
            extra = self.guard_session.headers(extra)
        self.whole(status, [_JSON, *headers, *extra], body)

    def _in_form(self, status: int, body: bytes) -> bytes:
        return rewrite_error(status, body, anthropic=self._form == "messages")

    def _refuse(self, error: RequestError, extra: Headers) -> None:
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in error.headers().items()]
        self.whole(error.status, [_JSON, *headers, *extra], self._body(error))

    def _body(self, error: RequestError) -> bytes:
        return anthropic_body(error) if self._form == "messages" else openai_body(error)

    async def _gathered(self, answer: Answer, extra: Headers) -> None:
        """Passes on an answer that is one document, once the guards have seen all of it and it is kept."""
        await answer.gather(_DOCUMENT_LIMIT)
        if not answer.whole:
            raise AnswerUnreadable(f"The answer is larger than {_DOCUMENT_LIMIT} bytes, so it was not let through.")
        self._last = body = answer.take()
        if self.guard_session is not None:
            body = await self.guard_session.whole(body)
            extra = self.guard_session.headers(extra)
        if self.keeper is not None:
            body = await self.keeper.document(body)
        headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
        self.whole(answer.status, headers + extra, body)

    def _used(self) -> tuple[int, int]:
        """Returns the tokens of prompt and answer so far. Without a transcript an event counts as a token."""
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
            await self._pump(answer)
            if partial := self._take_partial():
                self._send_events(partial)
            if self._ends_with_done and DONE not in self._last[-32:] and not self._is_whole():
                raise ReplicaFailure("it ended its answer early", kind="disconnect")
            self._end(await self._settled(await self._drain()))
        except StreamStopped as stop:
            self._end(await self._settled(stop.last))
        finally:
            if self._filter is not None:
                await self._filter.close()

    async def _pump(self, answer: Answer) -> None:
        pump = answer.pump(self._on_read)
        try:
            await (pump if self._gate is None else self._gate.during(pump))
        except ReplicaFailure:
            # Another replica goes on after the last event that came. So all of these must reach the client first.
            if self._filter is not None:
                await self._filter.drain()
            raise

    def _is_whole(self) -> bool:
        """Whether a stream that ended in order, but not with `[DONE]` in its last bytes, is whole.

        Comments may follow `[DONE]`, and some servers end after the finish reason. A stream with a transcript is not
        whole by its finish reason: `Carrier` adds the events that it lacks.
        """
        return ends_whole(self._before_last + self._last, by_reason=self.transcript is None)

    async def _drain(self) -> bytes:
        """Lets the guards finish, once the replica has sent all, and returns the last bytes for the client."""
        if self._gate is not None:
            await self._gate.drain()
        if self._filter is None:
            return b""
        return await self._filter.finish()

    async def _settled(self, events: bytes) -> bytes:
        """Returns a stream's last `events` as they go out, once the answer is kept where it is to be."""
        return events if self.keeper is None else await self.keeper.last(events)

    def _pass_guards(self, events: bytes) -> None:
        """Gives a stream's next `events` to the guards, which pass on what may go out."""
        if self._gate is not None:
            self._gate.put(events)
        elif self._filter is not None:
            self._filter.put(events)
        else:
            self._pass(events)

    def _take_partial(self) -> bytes:
        """Returns what came after the last event's end, where nothing more comes, and forgets it."""
        partial, self._partial = self._partial, b""
        return partial if self._whole_events is None else self._whole_events.rest()

    def _on_read(self, data: bytes) -> None:
        if self._whole_events is not None:
            whole = self._whole_events.take(data)
        elif not self._partial and data.endswith(ENDS):
            whole = data
        else:
            whole, self._partial = split_events(self._partial + data if self._partial else data)
        if whole:
            self._send_events(whole)

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
            self.events += events.count(ENDS[0])
        self._before_last, self._last = self._last, events
        if self._gate is None and self._filter is None:
            self._pass(events)
        else:
            self._pass_guards(events)

    def _pass(self, data: bytes) -> None:
        if self.keeper is not None and not (data := self.keeper.pass_on(data)):
            return
        self.sent_bytes += len(data)
        if self.copy is not None:
            self.copy += data
        self._reply.write(data)

    def _end(self, data: bytes = b"") -> None:
        self.sent_bytes += len(data)
        if self.copy is not None:
            self.copy += data
        self._reply.end(data)
