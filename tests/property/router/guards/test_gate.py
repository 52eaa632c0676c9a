"""The way out of a judged stream, under any order of what comes, what is judged, what fails and who leaves."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import GuardFailed
from patchbay.core.offload import Offload
from patchbay.guards.formats.codec import StreamStopped
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.sse import DONE, split, written
from patchbay.guards.judges.config import HttpGuard
from patchbay.guards.judges.judge import JudgeFailed, JudgeVerdict, TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.judges.panel import AskedJudge, JudgePanel, windows
from patchbay.guards.stream_gate import StreamGate
from patchbay.guards.verdict import FoundSpan, Side

BAD = "#"


class Passing:
    """A codec that changes nothing."""

    def feed(self, events: bytes) -> bytes:
        return events

    def finish(self) -> bytes:
        return b""

    def stop(self, held: bytes) -> bytes:
        return b"data: stopped\n\n"


def way_out(sent: bytearray) -> Filter:
    """What puts all that may go out into `sent`."""
    return Filter(Passing(), Offload(), sent.extend)


@dataclass
class Held:
    """A judge whose verdicts are given one by one. `judged`: the longest text that it called safe."""

    fails: bool = False
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    judged: int = 0

    async def start(self) -> None:
        """Nothing is opened."""

    async def prompt(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        return await self.answer(text, facts)

    async def answer(self, text: str, facts: TextOrigin) -> JudgeVerdict:
        await self.turns.acquire()
        if self.fails:
            raise JudgeFailed("as it is told")
        if BAD in text:
            return JudgeVerdict(True)
        self.judged = max(self.judged, len(text))
        return JudgeVerdict(False)

    async def close(self) -> None:
        """Nothing was opened."""


async def nobody(model: str, fields: dict[str, object], near: str) -> bytes:
    raise JudgeFailed("nobody")


class Choosing(Judges):
    """Holds one judge, whatever is asked for."""

    def __init__(self, judge: Held) -> None:
        super().__init__(ask=nobody, again=nobody, wanted=list)
        self._judge = judge

    def using(self, config: Any) -> Any:
        judge = self._judge

        class Using:
            async def __aenter__(self) -> Held:
                return judge

            async def __aexit__(self, *gone: object) -> None:
                return None

        return Using()


def event(text: str) -> bytes:
    return written({"choices": [{"index": 0, "delta": {"content": text}}]})


def text_of(out: bytes) -> str:
    return "".join(data["choices"][0]["delta"]["content"] for _, data in split(out) if data is not None)


def panel(judge: Held, *, lag: int, every: int, found: list[FoundSpan]) -> JudgePanel:
    mode = {"mode": "optimistic", "lag_chars": lag} if lag else {}
    fields = {"kind": "http", "url": "http://h", "every_chars": every, "deadline_s": 60, **mode}
    config = HttpGuard.model_validate(fields)
    sides: Mapping[Side, Sequence[AskedJudge]] = {"input": [], "output": [AskedJudge("judge", config, "block", False)]}

    def note(side: Side, span: FoundSpan, text: str) -> None:
        found.append(span)

    return JudgePanel(sides, Choosing(judge), TextOrigin(request="r"), note)


class Play:
    """A stream through a gate, step by step. `out`: what went out; `came`: what came."""

    def __init__(self, lag: int, every: int) -> None:
        self.judge = Held()
        self.came = ""
        self._lag = lag
        self._sent = bytearray()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        judges = panel(self.judge, lag=lag, every=every, found=[])
        self._gate = StreamGate("chat_completions", judges, way_out(self._sent))

    @property
    def out(self) -> str:
        return text_of(bytes(self._sent))

    async def run(self, steps: Sequence[str]) -> str:
        """How it ended."""
        running = asyncio.create_task(self._all_of_it())
        for step in steps:
            if step == "leave":
                running.cancel()
                break
            self._do(step)
            for _ in range(8):
                await asyncio.sleep(0)
            assert len(self.out) <= self.judge.judged + self._lag, "more went out than was judged"
        self._queue.put_nowait(None)
        for _ in range(len(self.came) + 2):
            self.judge.turns.release()
        return await ending(running)

    def _do(self, step: str) -> None:
        if step in ("verdict", "fail"):
            self.judge.fails = self.judge.fails or step == "fail"
            self.judge.turns.release()
        else:
            self.came += step
            self._queue.put_nowait(step)

    async def _all_of_it(self) -> None:
        await self._gate.during(self._pump())
        await self._gate.drain()

    async def _pump(self) -> None:
        while (text := await self._queue.get()) is not None:
            self._gate.put(event(text))


async def ending(running: "asyncio.Task[None]") -> str:
    try:
        await running
    except StreamStopped:
        return "stopped"
    except GuardFailed:
        return "failed"
    except asyncio.CancelledError:
        return "left"
    finally:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        assert rest == set(), "work goes on"
    return "whole"


STEPS = st.lists(st.sampled_from(["ab", "cde", "f" * 9, BAD, "verdict", "verdict", "fail", "leave"]), max_size=20)


@given(steps=STEPS, lag=st.sampled_from([0, 0, 4]), every=st.integers(1, 12))
@settings(deadline=None, max_examples=500)
def test_text_goes_out_that_nobody_judged_or_work_goes_on_when_it_is_over(
    steps: list[str], lag: int, every: int
) -> None:
    async def played() -> tuple[Play, str]:
        play = Play(lag, every)
        return play, await play.run(steps)

    play, end = asyncio.run(played())
    assert play.came.startswith(play.out)
    assert len(play.out) <= play.judge.judged + lag
    if end == "whole":
        assert play.out == play.came
    if BAD in play.came and "leave" not in steps:
        assert end in ("stopped", "failed")
    if not lag:
        assert BAD not in play.out


@given(done=st.integers(0, 3000), more=st.integers(0, 3000), most=st.integers(1, 500))
@settings(max_examples=500)
def test_a_part_of_a_long_text_is_judged_by_nobody_or_without_what_is_before_it(
    done: int, more: int, most: int
) -> None:
    place = done
    for start, end in windows(done, done + more, most):
        assert start <= place < end
        assert end - start <= max(most, 1)
        assert start == 0 or place - start >= most // 2 - 1
        place = end
    assert place == done + more


def test_a_stream_that_waits_for_its_judge_grows_without_bound() -> None:
    async def flooded() -> None:
        gate = StreamGate("chat_completions", panel(Held(), lag=0, every=10, found=[]), way_out(bytearray()))
        for _ in range(40):
            gate.put(event("x" * 1024 * 1024))
            await asyncio.sleep(0)

    with pytest.raises(GuardFailed):
        asyncio.run(flooded())


def test_what_ends_a_stream_goes_out_before_what_is_before_it_was_judged() -> None:
    async def ended() -> bytes:
        judge, out = Held(), bytearray()
        gate = StreamGate("chat_completions", panel(judge, lag=0, every=1000, found=[]), way_out(out))
        gate.put(event("some text"))
        gate.put(written({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + DONE)
        assert not out
        judge.turns.release()
        await gate.drain()
        return bytes(out)

    assert asyncio.run(ended()).endswith(DONE)


def test_spoken_texts_of_one_choice_are_mixed_with_anothers() -> None:
    from patchbay.guards.formats.plain_text import PlainText

    spoken, texts = PlainText("chat_completions"), dict[Hashable, str]()
    for index, said in ((0, "a"), (1, "x"), (0, "b"), (1, "y")):
        spoken.add({"choices": [{"index": index, "delta": {"content": said}}]})
    texts = spoken.texts
    assert texts == {0: "ab", 1: "xy"}
