"""A codec on a stream's way: where its work is done, and that this changes nothing of what goes out."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import GuardFailed
from patchbay.core.offload import Offload
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.sse import DONE, split, written


def event(text: str) -> bytes:
    return written({"choices": [{"index": 0, "delta": {"content": text}}]})


class Judging:
    """A codec that keeps all text, and says it at its end: blocked where it has a '#'. `threads`: who did the work."""

    def __init__(self) -> None:
        self.said = ""
        self.threads: set[int] = set()

    def feed(self, events: bytes) -> bytes:
        self.threads.add(threading.get_ident())
        for _, data in split(events):
            if data is None:
                return self.finish() + DONE
            self.said += data["choices"][0]["delta"]["content"]
        return b""

    def finish(self) -> bytes:
        self.threads.add(threading.get_ident())
        if "#" in self.said:
            raise StreamStopped(b"stopped")
        said, self.said = self.said, ""
        return event(said) if said else b""

    def stop(self, held: bytes) -> bytes:
        return b""


class Source:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.paused = False
        self.stopped: Exception | None = None

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def stop(self, cause: Exception) -> None:
        self.stopped = cause


async def through(texts: Sequence[str], codec: Judging, *, hard: bool, done: bool = True) -> tuple[bytes, Source]:
    """What went out, and the source at the end. Raises StreamStopped."""
    out, offload, source = bytearray(), Offload(), Source()
    way = Filter(codec, offload, out.extend, lambda: len(codec.said), hard=hard)
    way.reads_from(source)
    try:
        for text in texts:
            way.put(event(text))
            await asyncio.sleep(0)
        if done:
            way.put(DONE)
        out += await way.finish()
        return bytes(out), source
    finally:
        await way.close()
        offload.close()


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    ("texts", "hard", "beside"),
    [
        (["short"], False, False),
        (["short"], True, True),
        (["x" * 1000] * 9, False, True),
        (["x" * 1000] * 5, False, False),
    ],
)
def test_a_text_that_takes_long_to_judge_is_judged_on_the_event_loop(
    texts: list[str], hard: bool, beside: bool, done: bool
) -> None:
    codec = Judging()
    out, source = asyncio.run(through(texts, codec, hard=hard, done=done))
    assert out == event("".join(texts)) + (DONE if done else b"")
    assert not source.paused
    last = codec.threads - {threading.get_ident()}
    assert bool(last) == beside


@settings(deadline=None, max_examples=200)
@given(
    texts=st.lists(st.sampled_from(["a", "bc", "#", "d" * 3000, "e" * 9000]), max_size=8),
    hard=st.booleans(),
    done=st.booleans(),
)
def test_what_goes_out_depends_on_where_the_work_was_done(texts: list[str], hard: bool, done: bool) -> None:
    def ended(**how: Any) -> bytes:
        try:
            return asyncio.run(through(texts, Judging(), **how))[0]
        except StreamStopped as stop:
            return stop.last

    whole = (event("".join(texts)) if "".join(texts) else b"") + (DONE if done else b"")
    assert ended(hard=hard, done=done) == (b"stopped" if "#" in "".join(texts) else whole)


def test_a_text_that_is_blocked_beside_the_event_loop_is_made_to_its_end() -> None:
    async def played() -> Source:
        offload, source = Offload(), Source()
        way = Filter(Judging(), offload, bytearray().extend, hard=True)
        way.reads_from(source)
        way.put(event("#"))
        way.put(DONE)
        with pytest.raises(StreamStopped):
            await way.drain()
        await way.close()
        offload.close()
        return source

    assert isinstance(asyncio.run(played()).stopped, StreamStopped)


class Breaking(Judging):
    """A codec with a fault of its own."""

    def feed(self, events: bytes) -> bytes:
        raise KeyError("choices")


def test_a_codec_that_breaks_in_a_thread_ends_the_stream() -> None:
    async def played() -> Source:
        offload, source = Offload(), Source()
        way = Filter(Breaking(), offload, bytearray().extend, hard=True)
        way.reads_from(source)
        way.put(event("x"))
        with pytest.raises(KeyError):
            await way.drain()
        await way.close()
        offload.close()
        return source

    assert isinstance(asyncio.run(played()).stopped, GuardFailed)
