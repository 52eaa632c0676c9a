"""Guards that ask somebody else: what goes out before their verdict, after it, and without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.judge import FakeJudge, Fault
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, content, events, post, streaming

pytestmark = pytest.mark.anyio
SAFE = tuple(f"word{number} " for number in range(40))
BAD = (*SAFE[:20], "now take poi", "son and ", *SAFE[20:])
WHOLE = "".join(SAFE)


def engine(*words: str) -> FakeEngine:
    fake = FakeEngine("replica-0", revisions=(revision("sql"), revision("safety")))
    fake.script = Script(words=words or SAFE)
    return fake


def config(judge: FakeJudge, **guard: Any) -> dict[str, Any]:
    guards = {"judge": {"kind": "http", "url": f"{judge.url}/judge", "every_chars": 30, **guard}}
    return {"routes": {"r": {"model": "sql", "guards": ["judge"]}}, "guards": guards}


def said(text: str) -> str:
    choices = [choice for one in events(text) if one != "[DONE]" for choice in one.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def finishes(text: str) -> list[str]:
    choices = [choice for one in events(text) if one != "[DONE]" for choice in one.get("choices", ())]
    return [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]


async def until_text(lines: AsyncIterator[str]) -> str:
    """The first text of a stream that still runs."""
    async for line in lines:
        if line.startswith("data: {") and (text := json.loads(line[6:])["choices"][0]["delta"].get("content")):
            return str(text)
    raise AssertionError("the stream has no text")


@pytest.mark.parametrize("mode", ["strict", "optimistic"])
async def test_a_safe_stream_is_changed_by_its_judge(mode: str) -> None:
    async with FakeJudge().running() as judge, running_router(engine(), **config(judge, mode=mode)) as router:
        answer = await post(router, ask("r", stream=True, stream_options={"include_usage": True}))
    assert said(answer.text) == WHOLE
    assert finishes(answer.text) == ["stop"]
    assert events(answer.text)[-1] == "[DONE]"
    outputs = [one["text"] for one in judge.asked if one["side"] == "output"]
    assert outputs[-1] == WHOLE
    assert all(WHOLE.startswith(text) for text in outputs), "what a judge is asked does not begin as before"
    assert len(outputs) > 1


async def test_a_strict_judges_verdict_comes_after_what_it_is_about() -> None:
    fake = engine(*BAD)
    async with FakeJudge().running() as judge, running_router(fake, **config(judge)) as router:
        answer = await post(router, ask("r", stream=True, stream_options={"include_usage": True}))
    assert "poison" not in said(answer.text)
    judged_safe = max((text for text in judge.texts if "poison" not in text), key=len)
    assert judged_safe.startswith(said(answer.text))
    assert finishes(answer.text) == ["content_filter"]
    assert events(answer.text)[-1] == "[DONE]"
    assert "usage" in events(answer.text)[-2]


async def test_with_no_verdict_yet_a_strict_judges_stream_shows_anything() -> None:
    fake = engine()
    async with FakeJudge().running() as judge, running_router(fake, **config(judge, on=["output"])) as router:
        judge.gate = asyncio.Semaphore(0)
        async with streaming(router, "r") as response:
            read = asyncio.create_task(until_text(response.aiter_lines()))
            await until(lambda: bool(judge.asked))
            await fake.seen[0].finished.wait()
            done, _ = await asyncio.wait({read}, timeout=0.3)
            assert not done, "text went out that nobody had judged"
            for _ in range(len(SAFE)):
                judge.gate.release()
            assert await read


async def test_an_optimistic_judges_stream_runs_further_ahead_than_it_says() -> None:
    fake = engine()
    settings = config(judge := FakeJudge(), on=["output"], mode="optimistic", lag_chars=50)
    async with judge.running():
        settings["guards"]["judge"]["url"] = f"{judge.url}/judge"
        judge.gate = asyncio.Semaphore(0)
        async with running_router(fake, **settings) as router, streaming(router, "r") as response:
            got = ""

            async def read() -> None:
                nonlocal got
                async for line in response.aiter_lines():
                    if line.startswith("data: {"):
                        got += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""

            reading = asyncio.create_task(read())
            await until(lambda: len(got) > 40)
            await fake.seen[0].finished.wait()
            await asyncio.wait({reading}, timeout=0.2)
            assert 40 < len(got) <= 50
            for _ in range(len(SAFE)):
                judge.gate.release()
            await reading
            assert got == WHOLE


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_is_flagged_is_answered(stream: bool) -> None:
    fake = engine()
    async with FakeJudge().running() as judge, running_router(fake, **config(judge)) as router:
        messages = [{"role": "user", "content": "what about poison"}]
        answer = await post(router, ask("r", stream=stream, messages=messages))
        metrics = router.metrics.render().decode()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert "judge=POISON*1 input block" in answer.headers["x-patchbay-guards"]
    assert 'guard="judge",kind="POISON",side="input"} 1.0' in metrics


async def test_the_prompts_verdict_is_waited_for_before_the_engine_is_asked() -> None:
    fake = engine()
    async with FakeJudge().running() as judge, running_router(fake, **config(judge, on=["input"])) as router:
        judge.gate = asyncio.Semaphore(0)
        asked = asyncio.create_task(post(router, ask("r")))
        await fake.request(0)
        await fake.seen[0].finished.wait()
        done, _ = await asyncio.wait({asked}, timeout=0.2)
        assert not done, "the answer went out before the prompt's verdict"
        judge.gate.release()
        assert content(await asked) == WHOLE


async def test_the_engine_works_on_for_a_prompt_that_is_refused() -> None:
    fake = engine()
    fake.script.fault = "hang"
    async with FakeJudge().running() as judge, running_router(fake, **config(judge, on=["input"])) as router:
        answer = await post(router, ask("r", messages=[{"role": "user", "content": "poison"}]))
        assert answer.status_code == 400
        if fake.seen:
            async with asyncio.timeout(60):
                await fake.seen[0].cancelled.wait()


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["hang", "error_500", "nonsense", "reset"])
async def test_without_a_verdict_an_answer_goes_out_or_its_client_is_told_nothing(
    fault: Fault, stream: bool, side: str
) -> None:
    async with FakeJudge().running() as judge:
        judge.fault = fault
        settings = config(judge, on=[side], deadline_s=0.3)
        async with running_router(engine(), **settings) as router:
            answer = await post(router, ask("r", stream=stream))
    assert "word" not in answer.text
    assert '"code": "guard_failed"' in answer.text
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_judge_that_may_fail_open_stops_an_answer_or_is_not_told_of(stream: bool) -> None:
    async with FakeJudge().running() as judge:
        judge.fault = "error_500"
        async with running_router(engine(), **config(judge, on_error="fail_open")) as router:
            answer = await post(router, ask("r", stream=stream))
            metrics = router.metrics.render().decode()
    assert (said(answer.text) if stream else content(answer)) == WHOLE
    for side in ("input", "output"):
        assert f'action="flag",guard="judge",kind="JUDGE_FAILED",side="{side}"}} 1.0' in metrics


@pytest.mark.parametrize("stream", [False, True])
async def test_a_dry_run_of_a_judge_stops_an_answer(stream: bool) -> None:
    async with FakeJudge().running() as judge, running_router(engine(*BAD), **config(judge, dry_run=True)) as router:
        answer = await post(router, ask("r", stream=stream))
    assert "poison" in (said(answer.text) if stream else content(answer))


async def test_an_answer_that_is_flagged_whole_tells_any_of_it() -> None:
    async with FakeJudge().running() as judge, running_router(engine(*BAD), **config(judge)) as router:
        answer = await post(router, ask("r"))
    choice = answer.json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", "")
    assert "word" not in answer.text


async def test_a_flagged_prompt_goes_where_it_is_sent_without_its_second_verdict() -> None:
    async with FakeJudge().running() as judge:
        settings = config(judge, on=["input"], action="route", route="other")
        settings["routes"]["other"] = {"model": "demo-base"}
        async with running_router(engine(), **settings) as router:
            answer = await post(router, ask("r", messages=[{"role": "user", "content": "poison"}]))
    assert content(answer) == WHOLE
    assert answer.headers["x-patchbay-rerouted"] == "judge: other"


async def test_a_stream_that_goes_on_elsewhere_tells_what_nobody_judged() -> None:
    fakes = FakeEngine("a"), FakeEngine("b")
    for fake in fakes:
        fake.script = Script(words=BAD)
    fakes[0].script.fault, fakes[0].script.die_after, fakes[1].running = "die", 10, 9
    async with FakeJudge().running() as judge:
        settings = config(judge)
        settings["routes"]["r"]["model"] = "demo-base"
        async with running_router(*fakes, **settings) as router:
            answer = await post(router, ask("r", stream=True))
    assert fakes[1].seen, "nothing was carried on"
    assert "poison" not in said(answer.text)
    assert said(answer.text)
    assert finishes(answer.text) == ["content_filter"]


async def test_a_client_that_leaves_leaves_a_judge_at_work() -> None:
    fake = engine()
    async with FakeJudge().running() as judge, running_router(fake, **config(judge, on=["output"])) as router:
        judge.gate = asyncio.Semaphore(0)
        async with streaming(router, "r"):
            await until(lambda: bool(judge.asked))
        await until(lambda: router.public_app.in_flight == 0)


async def test_the_safety_adapter_is_asked_at_length_or_its_verdict_is_lost() -> None:
    fake = engine(*BAD)
    guards = {"safety": {"kind": "llm", "model": "safety", "every_chars": 30}}
    settings = {"routes": {"r": {"model": "sql", "guards": ["safety"]}}, "guards": guards}
    async with running_router(fake, **settings) as router:
        answer = await post(router, ask("r", stream=True))
        refused = await post(router, ask("r", messages=[{"role": "user", "content": "poison"}]))
    assert "poison" not in said(answer.text)
    assert finishes(answer.text) == ["content_filter"]
    assert "safety=UNSAFE*1 output block" not in answer.headers.get("x-patchbay-guards", "")
    assert refused.status_code == 400
    verdicts = [one.json for one in fake.seen if (one.headers.get("x-patchbay-revision") or "").startswith("safety@")]
    assert {one["max_tokens"] for one in verdicts} == {1}
    assert all(one["logprobs"] for one in verdicts)


async def test_presidio_is_asked_in_another_form() -> None:
    async with FakeJudge("Jane Doe").running() as judge:
        guards = {"names": {"kind": "presidio", "url": judge.url, "entities": ["PERSON"], "on": ["input"]}}
        settings = {"routes": {"r": {"model": "sql", "guards": ["names"]}}, "guards": guards}
        async with running_router(engine(), **settings) as router:
            refused = await post(router, ask("r", messages=[{"role": "user", "content": "who is Jane Doe"}]))
            answered = await post(router, ask("r"))
    assert (refused.status_code, answered.status_code) == (400, 200)
    assert "names=PERSON*1 input block" in refused.headers["x-patchbay-guards"]
    assert judge.asked[0] == {
        "text": "who is Jane Doe",
        "language": "en",
        "score_threshold": 0.5,
        "entities": ["PERSON"],
    }


async def test_a_plug_in_is_asked_without_being_opened_or_closed() -> None:
    from tests.fakes.plugin import closed, opened

    guards = {"mine": {"kind": "plugin", "factory": "tests.fakes.plugin:WordJudge", "options": {"word": "poison"}}}
    settings = {"routes": {"r": {"model": "sql", "guards": ["mine"]}}, "guards": guards}
    async with running_router(engine(), **settings) as router:
        refused = await post(router, ask("r", messages=[{"role": "user", "content": "poison"}]))
        answered = await post(router, ask("r"))
    assert (refused.status_code, answered.status_code) == (400, 200)
    assert (opened, closed) == (["poison"], ["poison"])
