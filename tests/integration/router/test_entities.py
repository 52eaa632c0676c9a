"""Guards that find entities, through a router: what goes out of prompts, answers and streams, and what never does."""

import asyncio
import json
import logging
from typing import Any

import pytest

from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.judge import FakeJudge, Fault
from tests.fakes.routers import running_router, until
from tests.integration.router.test_judges import finishes, said, until_text
from tests.integration.router.wire import ask, content, events, post, streaming

pytestmark = pytest.mark.anyio
WORDS = ("It was ", "found by ", "Ada Lo", "velace", ". She ", "was born ", "in Lon", "don. ", "Then ", "no", "thing")
WHOLE = "".join(WORDS)
REDACTED = WHOLE.replace("Ada Lovelace", "[PERSON]")


def engine(*words: str) -> FakeEngine:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    fake.script = Script(words=words or WORDS)
    return fake


def config(presidio: FakeJudge, **guard: Any) -> dict[str, Any]:
    guards = {"people": {"kind": "entities", "url": presidio.url, "action": "redact", **guard}}
    return {"routes": {"r": {"model": "sql", "guards": ["people"]}}, "guards": guards}


def text_of(answer: Any, *, stream: bool) -> str:
    return said(answer.text) if stream else content(answer)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_name_over_several_chunks_is_redacted_and_the_same_streamed_or_not(stream: bool) -> None:
    async with FakeJudge("Ada Lovelace").running() as presidio, running_router(engine(), **config(presidio)) as router:
        answer = await post(router, ask("r", stream=stream))
        metrics = router.metrics.render().decode()
    assert text_of(answer, stream=stream) == REDACTED
    if stream:
        assert finishes(answer.text) == ["stop"]
        assert events(answer.text)[-1] == "[DONE]"
    else:
        assert answer.headers["x-patchbay-guards"] == "people=PERSON*1 output redact"
    assert 'action="redact",guard="people",kind="PERSON",side="output"} 1.0' in metrics
    # Each sentence is asked about with the one before it.
    assert {"It was found by Ada Lovelace. ", "It was found by Ada Lovelace. She was born in London. "} <= set(
        presidio.texts
    )


async def test_a_blocked_name_ends_a_stream_before_it() -> None:
    presidio = FakeJudge("London")
    async with presidio.running():
        settings = config(presidio, action="block")
        async with running_router(engine(), **settings) as router:
            answer = await post(router, ask("r", stream=True))
    assert said(answer.text) == WHOLE[: WHOLE.index("London")]
    assert finishes(answer.text) == ["content_filter"]


async def test_a_name_in_a_prompt_is_masked_for_the_engine_and_comes_back() -> None:
    fake = engine("Dear ", "Ada Lovelace")
    messages = [{"role": "user", "content": "Write to Ada Lovelace, not to Ada Lovelace's aunt"}]
    async with FakeJudge("Ada Lovelace").running() as presidio:
        settings = config(presidio, on=["input"], action="mask")
        async with running_router(fake, **settings) as router:
            answer = await post(router, ask("r", messages=messages))
    sent = fake.seen[0].json["messages"][0]["content"]
    assert sent.startswith("Write to [PERSON_")
    assert answer.headers["x-patchbay-guards"] == "people=PERSON*1 input mask"


async def test_a_blocked_name_refuses_the_prompt_and_each_text_is_asked_about_once() -> None:
    messages = [{"role": "user", "content": text} for text in ("one text", "another text", "one text", "Ada Lovelace")]
    async with FakeJudge("Ada Lovelace").running() as presidio:
        settings = config(presidio, on=["input"], action="block")
        async with running_router(engine(), **settings) as router:
            first = await post(router, ask("r", messages=messages))
            await post(router, ask("r", messages=messages))
    assert (first.status_code, first.json()["error"]["code"]) == (400, "content_filter")
    assert sorted(text for text in presidio.texts if "text" in text or "Ada" in text) == [
        "Ada Lovelace",
        "another text",
        "one text",
    ]


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["hang", "error_500", "nonsense", "reset"])
async def test_without_an_answer_of_the_finder_nothing_goes_through(fault: Fault, stream: bool, side: str) -> None:
    async with FakeJudge().running() as presidio:
        presidio.fault = fault
        fake = engine()
        async with running_router(fake, **config(presidio, on=[side], deadline_s=0.3)) as router:
            answer = await post(router, ask("r", stream=stream))
    assert '"code": "guard_failed"' in answer.text
    assert not any(word.strip() in answer.text for word in ("found by", "Lovelace", "nothing"))
    assert "[DONE]" not in answer.text
    assert bool(fake.seen) == (side == "output")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_guard_that_may_fail_open_lets_all_through_and_tells_of_it(stream: bool) -> None:
    async with FakeJudge().running() as presidio:
        presidio.fault = "error_500"
        async with running_router(engine(), **config(presidio, on_error="fail_open")) as router:
            answer = await post(router, ask("r", stream=stream))
            metrics = router.metrics.render().decode()
    assert text_of(answer, stream=stream) == WHOLE
    assert 'action="flag",guard="people",kind="ENTITIES_UNCHECKED",side="output"}' in metrics
    assert 'action="flag",guard="people",kind="ENTITIES_UNCHECKED",side="input"}' in metrics


@pytest.mark.parametrize("dry_run", [{"dry_run": True}, {"tenants": {}, "dry_run": True, "action": "block"}])
async def test_a_dry_run_changes_nothing_and_counts(dry_run: dict[str, Any]) -> None:
    async with FakeJudge("Ada Lovelace").running() as presidio:
        settings = config(presidio, **dry_run)
        async with running_router(engine(), **settings) as router:
            answer = await post(router, ask("r"))
    assert content(answer) == WHOLE
    assert answer.headers["x-patchbay-guards"] == "people=PERSON*1 output dry-run"


async def test_while_a_finder_works_nothing_is_let_go_and_others_are_served() -> None:
    fake = engine(*WORDS, *("word " for _ in range(200)))
    async with FakeJudge("Ada Lovelace").running() as presidio:
        settings = config(presidio, on=["output"], deadline_s=20)
        settings["routes"]["free"] = {"model": "demo-base"}
        presidio.gate = asyncio.Semaphore(0)
        async with running_router(fake, **settings) as router, streaming(router, "r") as response:
            read = asyncio.create_task(until_text(response.aiter_lines()))
            await until(lambda: any("Ada" in text for text in presidio.texts))
            other = await post(router, ask("free"))
            assert WHOLE in content(other)
            done, _ = await asyncio.wait({read}, timeout=0.1)
            assert not done, "text went out that no finder had looked at"
            for _ in range(300):
                presidio.gate.release()
            assert (await read).startswith("It was found by [PERSON]")


async def test_the_audit_has_the_place_and_a_mark_and_never_the_name(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "patchbay.audit"):
        async with FakeJudge("Ada Lovelace").running() as presidio:
            settings = config(presidio)
            async with running_router(engine(), **settings) as router:
                await post(router, ask("r"))
    [said_once] = [json.loads(record.message) for record in caplog.records if record.name == "patchbay.audit"]
    place = WHOLE.index("Ada")
    assert said_once["span"] == [place, place + len("Ada Lovelace")]
    assert (said_once["rule"], said_once["kind"], len(said_once["mark"])) == ("entity", "PERSON", 16)
    assert "Ada" not in caplog.text


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def delta(number: int, text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": number, "delta": {"type": "text_delta", "text": text}}


async def test_a_name_in_a_message_of_the_other_format_is_redacted() -> None:
    fake = engine()
    begun = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "By Ada"}}
    ended = ({"type": "content_block_stop", "index": 0}, {"type": "message_stop"})
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}
    fake.script = Script(raw=[sse(start, begun), sse(delta(0, " Love")), sse(delta(0, "lace. No"), *ended)])
    body = {"model": "r", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    async with FakeJudge("Ada Lovelace").running() as presidio, running_router(fake, **config(presidio)) as router:
        answer = await post(router, body, "/v1/messages")
    told = "".join(one["delta"]["text"] for one in data_in(answer.text) if one["type"] == "content_block_delta")
    told = "".join(one["content_block"]["text"] for one in data_in(answer.text) if "content_block" in one) + told
    assert told == "By [PERSON]. No"
    assert '"message_stop"' in answer.text


def data_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_a_tools_arguments_stay_json_without_the_name() -> None:
    fake = engine()

    def call(arguments: str, **more: Any) -> dict[str, Any]:
        calls = [{"index": 0, "id": "c", "type": "function", "function": {"name": "send", "arguments": arguments}}]
        return {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None, **more}]}

    parts = ('{"to": "Ada \\u004', "cove", 'lace", "n": 3}')
    ending = {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    fake.script = Script(raw=[sse(*map(call, parts)), sse(ending), b"data: [DONE]\n\n"])
    async with FakeJudge("Ada Lovelace").running() as presidio, running_router(fake, **config(presidio)) as router:
        answer = await post(router, ask("r", stream=True))
    calls = [call for one in data_in(answer.text) for call in one["choices"][0]["delta"].get("tool_calls", ())]
    assert json.loads("".join(one["function"]["arguments"] for one in calls)) == {"to": "[PERSON]", "n": 3}


async def test_an_error_that_quotes_a_name_loses_it() -> None:
    fake = engine()
    body = json.dumps({"error": {"message": "no Ada Lovelace here", "type": "x"}}).encode()
    fake.script = Script(body=body, kind="application/json", fault="answer_400")
    async with FakeJudge("Ada Lovelace").running() as presidio, running_router(fake, **config(presidio)) as router:
        answer = await post(router, ask("r"))
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no [PERSON] here")


async def test_a_kind_of_its_own_sends_a_prompt_elsewhere() -> None:
    fake = engine()
    messages = [{"role": "user", "content": "who is Ada Lovelace"}]
    async with FakeJudge("Ada Lovelace").running() as presidio:
        guard = {"on": ["input"], "kinds": {"PERSON": "route", "LOCATION": None}, "action": "flag", "route": "other"}
        settings = config(presidio, **guard)
        settings["routes"]["other"] = {"model": "demo-base"}
        async with running_router(fake, **settings) as router:
            answer = await post(router, ask("r", messages=messages))
    assert answer.headers["x-patchbay-rerouted"] == "people: other"


async def test_a_client_that_leaves_leaves_nothing_at_work() -> None:
    async with FakeJudge("Ada Lovelace").running() as presidio:
        presidio.gate = asyncio.Semaphore(0)
        settings = config(presidio, on=["output"], deadline_s=0.5)
        async with running_router(engine(), **settings) as router:
            async with streaming(router, "r"):
                await until(lambda: bool(presidio.asked))
            await until(lambda: router.public_app.in_flight == 0)


async def test_requests_wait_for_a_finder_at_the_same_time() -> None:
    async with FakeJudge("Ada Lovelace").running() as presidio:
        presidio.gate = asyncio.Semaphore(0)
        settings = config(presidio, on=["input"], deadline_s=20)
        async with running_router(engine(), **settings) as router:
            bodies = [ask("r", messages=[{"role": "user", "content": f"text {number}"}]) for number in range(6)]
            asking = [asyncio.create_task(post(router, body)) for body in bodies]
            await until(lambda: {f"text {number}" for number in range(6)} <= set(presidio.texts))
            for _ in range(100):
                presidio.gate.release()
            assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200] * 6
