"""A stream outlives its replica: the client sees one answer, or is told."""

import asyncio
import json
from typing import Any

import pytest

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, Fault
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, client_of, events, post

pytestmark = pytest.mark.anyio
WHOLE = "".join(f"demo-base {number} " for number in range(6))
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}


def pair(fault: Fault, die_after: int) -> tuple[FakeEngine, FakeEngine]:
    """Two replicas of which the first dies amid its streams."""
    fakes = FakeEngine("a"), FakeEngine("b")
    for fake in fakes:
        fake.script.chunks = 6
    fakes[0].script.fault, fakes[0].script.die_after = fault, die_after
    fakes[1].running = 9
    return fakes


async def stream(router: Router, path: str = "/v1/chat/completions", **fields: Any) -> list[Any]:
    """All events of a stream, as its client sees them."""
    async with client_of(router) as client:
        answer = await client.post(path, json=ask(stream=True, **fields))
    assert not any(line.startswith(":") for line in answer.text.splitlines()), "the client sees the token ids"
    return events(answer.text)


def text_of(received: list[Any]) -> str:
    choices = [chunk["choices"][0] for chunk in received if chunk != "[DONE]" and chunk.get("choices")]
    return "".join(choice["delta"].get("content", "") for choice in choices)


async def test_an_undisturbed_stream_shows_nothing_of_the_token_ids() -> None:
    fake = FakeEngine()
    async with running_router(fake) as router:
        received = await stream(router)
    assert fake.seen[0].headers["x-patchbay-token-ids"] == "1"
    assert [chunk["choices"][0]["finish_reason"] for chunk in received[:-1]] == [None, None, None, "stop"]


@pytest.mark.parametrize("fault", ["die", "die_in_event", "end_early"])
@pytest.mark.parametrize("die_after", [0, 1, 3, 5, 6, 7, 8])
async def test_wherever_a_replica_dies_the_client_sees_one_whole_answer(fault: Fault, die_after: int) -> None:
    first, second = pair(fault, die_after)
    async with running_router(first, second) as router:
        received = await stream(router, **USAGE)
        assert b'patchbay_router_requests_total{endpoint="chat_completions",model="demo-base",outcome="ok"} 1.0' in (
            router.metrics.render()
        )
    assert text_of(received) == WHOLE
    assert len(first.seen) == 1, "the test did not begin on the replica that dies"
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in received[:-1] if chunk["choices"]]
    assert finishes == [None] * 6 + ["stop"]
    assert received[-1] == "[DONE]"
    assert received.count("[DONE]") == 1
    assert received[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
    assert {(chunk["id"], chunk["object"]) for chunk in received[:-1]} == {("chatcmpl-fake", "chat.completion.chunk")}


async def test_the_rest_is_asked_for_by_the_tokens_that_were_sent() -> None:
    first, second = pair("die", 4)
    async with running_router(first, second) as router:
        await stream(router, temperature=0, max_tokens=10, seed=7, user="u")
    rest = second.seen[0]
    assert rest.path == "/v1/completions"
    assert rest.json == {
        "model": "demo-base",
        "prompt": [11, 12, 13, 1000, 1001, 1002, 1003],
        "stream": True,
        "max_tokens": 6,
        "add_special_tokens": False,
        "temperature": 0,
        "seed": 7,
        "user": "u",
    }


async def test_without_a_limit_the_rest_may_fill_the_models_context() -> None:
    first, second = pair("die", 4)
    async with running_router(first, second) as router:
        await stream(router)
    assert second.seen[0].json["max_tokens"] == 4096 - 3 - 4


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"stop": ["x"]},
        {"presence_penalty": 0.5},
        {"something_new": 1},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_what_cannot_be_carried_on_ends_with_an_error_and_never_with_done(fields: dict[str, Any]) -> None:
    first, second = pair("die", 3)
    async with running_router(first, second) as router:
        received = await stream(router, **fields)
    assert received[-1]["error"]["code"] == "upstream_failed"
    assert "[DONE]" not in received
    assert not second.seen


async def test_a_completion_is_carried_on_too() -> None:
    first, second = pair("die", 3)
    async with running_router(first, second) as router:
        received = await stream(router, "/v1/completions", prompt="hello")
    assert "".join(chunk["choices"][0]["text"] for chunk in received[:-1]) == WHOLE


async def test_a_stream_that_loses_one_replica_after_the_other_is_still_whole() -> None:
    fakes = [FakeEngine(name) for name in "abc"]
    for index, fake in enumerate(fakes):
        fake.script.chunks, fake.running = 6, index
        fake.script.fault, fake.script.die_after = ("none" if index == 2 else "die"), 2
    async with running_router(*fakes) as router:
        received = await stream(router)
    assert text_of(received) == WHOLE


async def test_a_stream_waits_for_the_only_replica_to_come_back() -> None:
    fake = FakeEngine()
    fake.script.chunks, fake.script.fault, fake.script.die_after = 6, "die", 3
    async with running_router(fake) as router:
        streaming = asyncio.create_task(stream(router))
        await fake.request(0)
        await until(fake.seen[0].finished.is_set)
        fake.script.fault = "none"
        assert text_of(await streaming) == WHOLE


async def test_requests_that_wait_for_their_turn_outlive_a_gap_in_which_no_replica_is_there() -> None:
    fakes = FakeEngine("a"), FakeEngine("b")
    for fake in fakes:
        fake.most, fake.script.chunks, fake.script.delay_s = 1, 6, 0.02
    async with running_router(*fakes) as router:
        asked = [asyncio.create_task(stream(router)) for _ in range(12)]
        await fakes[0].request(0)
        await fakes[1].request(0)
        for fake in fakes:
            await fake.stop()
        await until(lambda: not router.fleet.view.ready)
        await asyncio.sleep(0.3)
        await fakes[1].start()
        assert {text_of(received) for received in await asyncio.gather(*asked)} == {WHOLE}


async def test_a_request_that_waits_goes_to_a_replica_that_was_not_there_when_it_came() -> None:
    first, second = FakeEngine("a"), FakeEngine("b")
    for fake in (first, second):
        fake.most, fake.script.chunks, fake.script.delay_s = 1, 6, 0.02
    async with second.running_server(), running_router(first, second) as router:
        await second.stop()
        await until(lambda: router.fleet.view.ready == 1)
        asked = [asyncio.create_task(stream(router)) for _ in range(6)]
        await first.request(0)
        await second.start()
        await until(lambda: router.fleet.view.ready == 2)
        await first.stop()
        assert {text_of(received) for received in await asyncio.gather(*asked)} == {WHOLE}


async def test_with_nowhere_to_go_a_request_that_waited_is_told_once_the_gap_lasts_too_long() -> None:
    fake = FakeEngine()
    fake.most, fake.script.fault = 1, "hang"
    async with running_router(fake, carry_timeout_s=0.3) as router:
        running = asyncio.create_task(post(router))
        await fake.request(0)
        waiting = asyncio.create_task(post(router))
        await until(lambda: b"patchbay_router_queue_depth 1.0" in router.metrics.render())
        await fake.stop()
        async with asyncio.timeout(60):
            answers = await asyncio.gather(running, waiting)
    assert [answer.status_code for answer in answers] == [502, 503]


async def test_replicas_killed_all_the_time_fail_none_of_two_hundred_streams() -> None:
    fakes = [FakeEngine(name) for name in "abc"]
    for fake in fakes:
        fake.script.chunks, fake.script.delay_s = 40, 0.05
    whole = "".join(f"demo-base {number} " for number in range(40))

    async def kill() -> None:
        for turn in range(1000):
            fake = fakes[turn % len(fakes)]
            await asyncio.sleep(0.3)
            await fake.stop()
            await asyncio.sleep(0.2)
            await fake.start()

    async def begun(number: int) -> Any:
        # Not all in one turn of the loop, which this test, its replicas and the router share.
        await asyncio.sleep(number / 200)
        return await stream(router, **USAGE)

    async with running_router(*fakes) as router:
        killing = asyncio.create_task(kill())
        received = await asyncio.gather(*(begun(number) for number in range(200)))
        killing.cancel()
        await asyncio.wait({killing})
        rendered = router.metrics.render().decode()
    carried = next(line for line in rendered.splitlines() if line.startswith("patchbay_router_streams_carried_total"))
    assert float(carried.split()[-1]) > 50, "hardly any stream met a death"
    broken = [json.dumps(one[-1]) for one in received if text_of(one) != whole or one[-1] != "[DONE]"]
    assert broken == []
    assert all(one[-2]["usage"]["completion_tokens"] == 40 for one in received)
