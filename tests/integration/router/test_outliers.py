"""A replica that answers, but never as it should, beside one that does."""

import time
from collections import Counter
from email.utils import formatdate
from typing import Any

import pytest

from patchbay.router.forward.status_verdicts import pause_s
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, Fault
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, error_of, events, post

pytestmark = pytest.mark.anyio


def asking(number: int, **fields: Any) -> dict[str, Any]:
    """A request like no other, whose prompt may belong to either replica."""
    return ask(messages=[{"role": "user", "content": f"question {number} " * 40}], **fields)


async def answers(router: Router, count: int, **fields: Any) -> Counter[int]:
    return Counter([(await post(router, asking(number, **fields))).status_code for number in range(count)])


def pair(fault: Fault, *, plain: bool = True) -> tuple[FakeEngine, FakeEngine]:
    token = None if plain else "replica-secret"
    bad, good = FakeEngine("bad", plain=plain, token=token), FakeEngine("good", plain=plain, token=token)
    bad.script.fault = fault
    return bad, good


@pytest.mark.parametrize("fault", ["bad_gateway_502", "busy_503", "late_504", "error_500", "limited_429"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_replica_that_only_fails_costs_no_client_its_answer_and_does_not_keep_its_share(
    fault: Fault, stream: bool
) -> None:
    bad, good = pair(fault)
    bad.script.retry_after = "60" if fault == "limited_429" else None
    async with running_router(bad, good, breaker={"open_s": 60}) as router:
        assert await answers(router, 30, stream=stream) == {200: 30}
    assert 1 <= len(bad.seen) <= 5


async def test_an_ejected_replica_comes_back_by_one_request_on_trial() -> None:
    bad, good = pair("bad_gateway_502")
    async with running_router(bad, good, breaker={"open_s": 0.3, "max_open_s": 0.3}) as router:
        await answers(router, 20)
        assert router.public_app.circuit_open("bad")
        bad.script.fault = "none"
        seen = len(bad.seen)
        await until(lambda: not router.public_app.circuit_open("bad"))
        assert await answers(router, 20) == {200: 20}
        assert len(bad.seen) > seen + 2
        assert 'circuits_opened_total{cause="failures",replica="bad"}' in router.metrics.render().decode()


async def test_a_replica_that_fails_half_the_time_is_ejected_beside_its_peer() -> None:
    bad, good = pair("none")
    async with running_router(bad, good, balance={"prefix": 0}, breaker={"interval_s": 0.2, "open_s": 60}) as router:
        for number in range(400):
            bad.script.fault = "bad_gateway_502" if len(bad.seen) % 2 else "none"
            assert (await post(router, asking(number))).status_code == 200
            if router.public_app.circuit_open("bad"):
                break
        assert 'cause="rate",replica="bad"' in router.metrics.render().decode()
        assert not router.public_app.circuit_open("good")


async def test_where_all_fail_alike_part_of_the_fleet_is_still_asked() -> None:
    fakes = [FakeEngine(name, plain=True, token=None) for name in "abcd"]
    for fake in fakes:
        fake.script.fault = "bad_gateway_502"
    async with running_router(*fakes, breaker={"open_s": 60}) as router:
        assert await answers(router, 30) == {502: 30}
        assert sum(router.public_app.circuit_open(name) for name in "abcd") == 2
        refused = error_of(await post(router, asking(99)))
    assert "502" in refused["message"]


async def test_a_replica_that_says_when_to_come_again_is_left_alone_until_then_and_its_client_told() -> None:
    (fake,) = (FakeEngine(plain=True, token=None),)
    fake.script.fault, fake.script.retry_after = "limited_429", "1"
    async with running_router(fake) as router:
        first, second = await post(router, asking(1)), await post(router, asking(2))
        assert (first.status_code, first.json()["error"]["message"]) == (429, "fake trouble")
        assert (second.status_code, second.headers["retry-after"]) == (429, "1")
        assert len(fake.seen) == 1
        assert not router.public_app.circuit_open("replica-0")
        fake.script.fault = "none"
        await until(lambda: not router.public_app.paused_s("replica-0"))
        assert (await post(router, asking(3))).status_code == 200


def test_retry_after_is_seconds_or_a_date() -> None:
    now_s = time.time()
    told = {value: pause_s([(b"retry-after", value.encode())], now_s) for value in ("7", "soon", "-3", "", "9" * 400)}
    assert (told["7"], told["soon"], told["-3"], told[""]) == (7.0, 1.0, 1.0, 1.0)
    assert told["9" * 400] > 0
    assert pause_s([(b"retry-after", formatdate(now_s + 20, usegmt=True).encode())], now_s) == pytest.approx(20, abs=1)
    assert pause_s([(b"retry-after", formatdate(now_s - 20, usegmt=True).encode())], now_s) == 0
    assert pause_s([], now_s) == 1.0


async def test_a_lone_replica_that_answers_500_is_asked_on_and_says_so_in_its_own_words() -> None:
    (fake,) = (FakeEngine(plain=True, token=None),)
    fake.script.fault = "error_500"
    async with running_router(fake) as router:
        assert await answers(router, 12) == {500: 12}
        assert not router.public_app.circuit_open("replica-0")


WHOLE = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
]
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "raw",
    [[*WHOLE], [*WHOLE, USAGE], [*WHOLE, DONE, b": bye\n\n"], [*WHOLE, DONE + b": bye\n\n"], [*WHOLE, b": bye\n\n"]],
    ids=["no done", "no done after usage", "comment after done", "comment with done", "comment, no done"],
)
async def test_a_stream_that_ended_in_order_after_its_finish_reason_is_whole(raw: list[bytes]) -> None:
    fake = FakeEngine(plain=True, token=None)
    fake.script.raw = raw
    async with running_router(fake) as router:
        answer = await post(router, ask(stream=True))
        assert b"patchbay_router_upstream_failures_total{" not in router.metrics.render()
    assert answer.content == b"".join(raw)


@pytest.mark.parametrize("raw", [WHOLE[:1], [WHOLE[0], USAGE], [WHOLE[0], b": bye\n\n"]])
async def test_a_stream_that_ended_before_its_finish_reason_is_not(raw: list[bytes]) -> None:
    fake = FakeEngine(plain=True, token=None)
    fake.script.raw = raw
    async with running_router(fake) as router:
        answer = await post(router, ask(stream=True))
    assert events(answer.text.replace(": bye\n\n", ""))[-1]["error"]["code"] == "upstream_failed"
