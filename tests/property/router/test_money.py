"""Money is exact: sums of what calls cost are rounded once, where they are kept, and never call by call."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import InvalidRequest, RateLimited
from patchbay.core.money import decimal, plain
from patchbay.core.tenancy import Limits
from patchbay.registry.records import UsageBatch
from patchbay.router.tenants.config import PriceConfig
from patchbay.router.tenants.counters import MemoryCounters, RedisCounters
from patchbay.router.tenants.limiter import Need, charges_of, refusal_of
from patchbay.router.tenants.usage import TenantUsage
from tests.fakes.redis import NO_REDIS, has_redis, running_redis

parts = st.integers(0, 10**8)
needs = st.lists(st.builds(Need, prompt=st.integers(0, 10_000), answer=st.integers(0, 10_000)), min_size=1, max_size=40)


class Book:
    """A book that keeps what it is given."""

    def __init__(self) -> None:
        self.billionths = 0

    def add(self, batch: UsageBatch) -> bool:
        self.billionths += sum(row.billionths for row in batch.rows)
        return True

    def keep(self, batch: UsageBatch) -> Path:
        raise AssertionError("nothing is left over")

    def take_in(self) -> int:
        return 0


def booked(calls: list[Need], price: PriceConfig, *, flush_each: bool) -> int:
    async def play() -> int:
        book = Book()
        usage = TenantUsage(book, lambda: datetime(2026, 1, 1, tzinfo=UTC))
        for call in calls:
            usage.add("t", "r", "m", call, call.cost(price), failed=False)
            if flush_each:
                await usage.flush()
        await usage.close()
        return book.billionths

    return asyncio.run(play())


@given(needs, parts, parts, st.booleans())
def test_what_is_booked_is_the_exact_sum_but_for_less_than_a_billionth(
    calls: list[Need], prompt: int, answer: int, flush_each: bool
) -> None:
    price = PriceConfig(prompt=prompt / 1e6, answer=answer / 1e6)
    per_token = Decimal(prompt).scaleb(-12), Decimal(answer).scaleb(-12)
    exact = sum((one.prompt * per_token[0] + one.answer * per_token[1] for one in calls), Decimal(0))
    short = exact - decimal(booked(calls, price, flush_each=flush_each))
    assert 0 <= short < Decimal("1e-9")


def test_ten_thousand_calls_that_each_cost_less_than_a_millionth_are_not_free() -> None:
    price = PriceConfig(prompt=0.02)
    assert booked([Need(prompt=10, answer=0)] * 10_000, price, flush_each=False) == 2_000_000, "0.002"


@given(st.integers(-(10**15), 10**15))
def test_decimals_are_exact_and_plain(billionths: int) -> None:
    told = plain(billionths)
    assert Decimal(told) == decimal(billionths)
    assert "e" not in told.lower()
    assert len(told.partition(".")[2]) >= 2


@pytest.mark.parametrize("price", [0.0000001, 1e-9, -1.0])
def test_a_price_of_less_than_a_trillionth_a_token_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match=r"six|6 decimals|greater than or equal"):
        PriceConfig(prompt=price)


limited = st.one_of(
    st.builds(lambda n: Limits(tokens_per_minute=n), st.integers(1, 200)),
    st.builds(lambda n: Limits(tokens_per_day=n), st.integers(1, 200)),
    st.builds(lambda n: Limits(money_per_day=n / 1000), st.integers(1, 200)),
)


@given(limited, st.lists(st.integers(1, 120), min_size=1, max_size=8))
def test_only_what_could_be_taken_later_is_told_to_come_again(limits: Limits, calls: list[int]) -> None:
    price = PriceConfig(answer=1000)

    async def play() -> None:
        counters = MemoryCounters(lambda: 1_000_000_020.0)
        for number, tokens in enumerate(calls):
            charges = charges_of("t", limits, Need(prompt=0, answer=tokens), price)
            got = await counters.reserve(charges, str(number))
            if got.refused is None:
                continue
            alone = await MemoryCounters(lambda: 1_000_000_020.0).reserve(charges, "alone")
            error = refusal_of(charges, got)
            assert isinstance(error, RateLimited) == (alone.refused is None)
            assert isinstance(error, InvalidRequest) == (alone.refused is not None)

    asyncio.run(play())


def test_a_limit_of_money_is_told_in_money_and_no_exponent() -> None:
    charges = charges_of("t", Limits(money_per_day=0.00001), Need(prompt=0, answer=100), PriceConfig(answer=1))
    error = refusal_of(charges, asyncio.run(MemoryCounters(lambda: 60.0).reserve(charges, "a")))
    assert str(error).startswith("This request alone may take 0.0001, and the limit is 0.00001 money per day.")


def test_redis_counts_sums_of_fifteen_digits_exactly() -> None:
    if not has_redis():
        pytest.skip(NO_REDIS)

    async def play(url: str) -> None:
        counters = RedisCounters(url, prefix="money", timeout_s=5)
        limits, price = Limits(money_per_day=5_000_000), PriceConfig(answer=999_999_999)
        charges, more = (charges_of("t", limits, Need(prompt=0, answer=tokens), price) for tokens in (2345, 1))
        first = await counters.reserve(charges, "one")
        assert first.used == (2345 * 999_999_999_000,)
        assert await counters.reserve(charges, "one") == first, "what was noted is read as it was"
        await counters.settle(charges, first, {charges[0].name: 7})
        assert (await counters.reserve(more, "two")).used == (7 + 999_999_999_000,)
        await counters.close()

    with running_redis() as server:
        asyncio.run(play(server.url))
