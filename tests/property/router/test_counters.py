"""Limits: what is set aside never exceeds them, whatever comes in between; in memory, and in a real Redis."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import Unavailable
from patchbay.core.tenancy import Limits
from patchbay.router.tenants.config import PriceConfig
from patchbay.router.tenants.counters import Charge, MemoryCounters, RedisCounters, Reserved
from patchbay.router.tenants.limiter import Need, charges_of, headers_of
from tests.fakes.redis import NO_REDIS, has_redis, running_redis

pytestmark = pytest.mark.anyio


class Clock:
    now_s = 1_000_000_020.0

    def __call__(self) -> float:
        return self.now_s


steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(1, 60), st.just(0.0)),
        st.tuples(st.just("settle"), st.integers(0, 60), st.just(0.0)),
        st.tuples(st.just("wait"), st.just(0), st.floats(0, 70)),
    ),
    max_size=60,
)


@given(steps, st.integers(20, 100), st.integers(1, 5))
def test_what_is_set_aside_never_exceeds_a_limit_and_a_settled_call_counts_what_it_took(
    taken: list[tuple[str, int, float]], limit: int, at_a_time: int
) -> None:
    async def play() -> None:
        clock = Clock()
        counters = MemoryCounters(clock)
        limits = Limits(tokens_per_minute=limit, concurrent=at_a_time)
        running: list[tuple[list[Charge], Reserved, int, int]] = []
        used: dict[int, int] = {}
        for step, amount, seconds in taken:
            window = int(clock.now_s // 60)
            if step == "wait":
                clock.now_s += seconds
            elif step == "reserve":
                charges = charges_of("t", limits, Need(prompt=0, answer=amount), PriceConfig())
                got = await counters.reserve(charges, "lease")
                fits = used.get(window, 0) + amount <= limit and len(running) < at_a_time
                assert (got.refused is None) == fits
                if fits:
                    running.append((charges, got, amount, window))
                    used[window] = used.get(window, 0) + amount
            elif running:
                charges, got, asked, began = running.pop()
                actual = min(amount, asked)
                await counters.settle(charges, got, {"tokens": actual})
                used[began] += actual - asked
            assert all(one <= limit for one in used.values())
            assert len(running) <= at_a_time

    asyncio.run(play())


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    if not has_redis():
        pytest.skip(NO_REDIS)
    with running_redis() as server:
        yield server.url


async def test_three_routers_and_one_redis_never_exceed_a_limit(redis_url: str) -> None:
    routers = [RedisCounters(redis_url, prefix="three", timeout_s=5) for _ in range(3)]
    charges = [
        Charge(tenant="acme", name="tokens", amount=7, limit=1000, window_s=86_400),
        Charge(tenant="acme", name="concurrent", amount=1, limit=40, window_s=0),
    ]
    running = peak = granted = 0

    async def ask(counters: RedisCounters, name: str) -> None:
        nonlocal running, peak, granted
        got = await counters.reserve(charges, name)
        if got.refused is not None:
            return
        running, granted = running + 1, granted + 7
        peak = max(peak, running)
        await asyncio.sleep(0.002)
        running -= 1
        granted -= 2
        await counters.settle(charges, got, {"tokens": 5})

    # The day may end in between, and with it the window: then there are two, which is looked at by its own sum.
    for turn in range(10):
        await asyncio.gather(
            *(ask(one, f"{turn}-{place}-{number}") for number, one in enumerate(routers) for place in range(20))
        )
    assert peak <= 40
    assert granted <= 1000
    assert granted >= 990, "nearly all of the limit can be used"
    for one in routers:
        await one.close()


async def test_a_refused_reservation_in_redis_takes_nothing(redis_url: str) -> None:
    counters = RedisCounters(redis_url, prefix="refused", timeout_s=5)
    small, large = (
        Charge(tenant="t", name="requests", amount=1, limit=10, window_s=86_400),
        Charge(tenant="t", name="tokens", amount=11, limit=10, window_s=86_400),
    )
    assert (await counters.reserve([small, large], "a")).refused == 1
    got = await counters.reserve([small], "b")
    assert got.used == (1,)
    await counters.close()


async def test_a_dead_routers_leases_end_by_themselves_and_a_live_ones_are_renewed(redis_url: str) -> None:
    counters = RedisCounters(redis_url, prefix="leases", timeout_s=5)
    charge = Charge(tenant="t", name="concurrent", amount=1, limit=1, window_s=0)
    assert (await counters.reserve([charge], "dead")).refused is None
    assert (await counters.reserve([charge], "next")).refused == 0
    import redis.asyncio

    raw = redis.asyncio.Redis.from_url(redis_url)
    await raw.zadd("leases:{t}:concurrent", {"dead": 1})
    await counters.renew({"dead": [charge]})
    assert (await counters.reserve([charge], "next")).refused == 0, "a renewed lease counts"
    await raw.zadd("leases:{t}:concurrent", {"dead": 1})
    assert (await counters.reserve([charge], "next")).refused is None
    await raw.aclose()
    await counters.close()


async def _until_given_back(counters: RedisCounters) -> None:
    for _ in range(100):
        with contextlib.suppress(Unavailable):
            return await counters.give_back()
    raise AssertionError("Redis does not answer")


@pytest.mark.parametrize("given_back", [True, False])
async def test_what_timed_out_while_redis_hung_is_not_set_aside_when_it_goes_on(given_back: bool) -> None:
    if not has_redis():
        pytest.skip(NO_REDIS)
    with running_redis() as server:
        counters = RedisCounters(server.url, prefix="hung", timeout_s=0.1)
        charges = [
            Charge(tenant="t", name="concurrent", amount=1, limit=3, window_s=0),
            Charge(tenant="t", name="tokens", amount=10, limit=1000, window_s=86_400),
        ]
        first = await counters.reserve(charges, "first")
        server.process.send_signal(signal.SIGSTOP)
        try:
            lost = await asyncio.gather(
                *(counters.reserve(charges, f"lost-{n}") for n in range(8)), return_exceptions=True
            )
            if not given_back:
                # Past the deadline by Redis' clock, which goes on while it hangs.
                await asyncio.sleep(0.3)
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert all(isinstance(one, Unavailable) for one in lost)
        if given_back:
            await _until_given_back(counters)
        patient = RedisCounters(server.url, prefix="hung", timeout_s=10)
        assert (await patient.reserve(charges, "next")).used == (2, 20), "only the first is set aside beside it"
        await counters.settle(charges, first, {"tokens": 10})
        for one in (counters, patient):
            await one.close()


async def test_what_ended_while_redis_hung_keeps_no_place_when_it_goes_on() -> None:
    if not has_redis():
        pytest.skip(NO_REDIS)
    with running_redis() as server:
        counters = RedisCounters(server.url, prefix="ended", timeout_s=0.1)
        charges = [
            Charge(tenant="t", name="concurrent", amount=1, limit=3, window_s=0),
            Charge(tenant="t", name="tokens", amount=10, limit=1000, window_s=86_400),
        ]
        running = [await counters.reserve(charges, f"running-{number}") for number in range(3)]
        server.process.send_signal(signal.SIGSTOP)
        try:
            ended = (counters.settle(charges, one, {"tokens": 4}) for one in running)
            told = await asyncio.gather(*ended, return_exceptions=True)
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert all(isinstance(one, Unavailable) for one in told)
        await _until_given_back(counters)
        patient = RedisCounters(server.url, prefix="ended", timeout_s=10)
        assert (await patient.reserve(charges, "next")).used == (1, 22), "nobody runs beside it, and each took 4"
        for one in (counters, patient):
            await one.close()


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_what_was_set_aside_for_a_call_that_left_is_given_back(redis_url: str, turns: int) -> None:
    counters = RedisCounters(redis_url, prefix=f"left-{turns}", timeout_s=5)
    charges = [
        Charge(tenant="t", name="concurrent", amount=1, limit=1, window_s=0),
        Charge(tenant="t", name="tokens", amount=10, limit=10, window_s=86_400),
    ]
    leaving = asyncio.create_task(counters.reserve(charges, "leaving"))
    for _ in range(turns):
        await asyncio.sleep(0)
    # Whoever closes its connection does not take back what it sent.
    leaving.cancel()
    told = (await asyncio.gather(leaving, return_exceptions=True))[0]
    await counters.give_back()
    if isinstance(told, Reserved):
        await counters.settle(charges, told, {"tokens": 0})
    following = await counters.reserve(charges, "next")
    assert (following.refused, following.used) == (None, (1, 10))
    await counters.close()


class Unanswered(RedisCounters):
    """Counts whose reservations are made, and whose answers never come. `made`: set once one is made."""

    def __init__(self, url: str) -> None:
        super().__init__(url, prefix="unanswered", timeout_s=5)
        self.made = asyncio.Event()

    async def _tried(self, charges: Sequence[Charge], lease: str) -> Any:
        await super()._tried(charges, lease)
        self.made.set()
        await asyncio.Event().wait()


async def test_what_was_set_aside_for_a_call_that_left_before_the_answer_stays_so(redis_url: str) -> None:
    counters, other = Unanswered(redis_url), RedisCounters(redis_url, prefix="unanswered", timeout_s=5)
    charges = [
        Charge(tenant="t", name="concurrent", amount=1, limit=1, window_s=0),
        Charge(tenant="t", name="tokens", amount=10, limit=10, window_s=86_400),
    ]
    leaving = asyncio.create_task(counters.reserve(charges, "leaving"))
    await counters.made.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await counters.give_back()
    following = await other.reserve(charges, "next")
    assert (following.refused, following.used) == (None, (1, 10))
    for one in (counters, other):
        await one.close()


async def test_a_cancelled_reservation_that_comes_later_sets_nothing_aside(redis_url: str) -> None:
    counters = RedisCounters(redis_url, prefix="later", timeout_s=5)
    charges = [Charge(tenant="t", name="tokens", amount=10, limit=100, window_s=86_400)]
    counters._lost["late"] = charges  # noqa: SLF001 - given up, and its script is on its way still
    await counters.give_back()
    with pytest.raises(Unavailable):
        await counters.reserve(charges, "late")
    assert (await counters.reserve(charges, "next")).used == (10,)
    await counters.close()


async def test_a_reservation_and_a_settlement_that_come_twice_count_once(redis_url: str) -> None:
    counters = RedisCounters(redis_url, prefix="twice", timeout_s=5)
    charges = [
        Charge(tenant="t", name="concurrent", amount=1, limit=5, window_s=0),
        Charge(tenant="t", name="tokens", amount=10, limit=100, window_s=86_400),
    ]
    first = await counters.reserve(charges, "one")
    again = await counters.reserve(charges, "one")
    assert again == first
    assert again.used == (1, 10)
    for _ in range(2):
        await counters.settle(charges, first, {"tokens": 4})
    assert (await counters.reserve(charges, "two")).used == (1, 14)
    await counters.close()


def test_clients_are_told_what_is_left_of_each_minute() -> None:
    async def play() -> None:
        counters = MemoryCounters(Clock())
        charges = charges_of(
            "t", Limits(requests_per_minute=5, tokens_per_minute=100), Need(prompt=10, answer=20), PriceConfig()
        )
        told = dict(headers_of(charges, await counters.reserve(charges, "a")))
        assert told[b"x-ratelimit-limit-requests"] == b"5"
        assert told[b"x-ratelimit-remaining-requests"] == b"4"
        assert told[b"x-ratelimit-remaining-tokens"] == b"70"
        assert told[b"x-ratelimit-reset-tokens"] == b"60s"

    asyncio.run(play())
