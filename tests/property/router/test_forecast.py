"""A forecast of costs, by properties of sums and of the router's own charges."""

import math

from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.tenants.config import PriceConfig
from patchbay.router.tenants.forecast import Demand, by_day, by_month, total
from patchbay.router.tenants.limiter import Need

needs = st.builds(Need, prompt=st.integers(0, 10_000), answer=st.integers(0, 10_000))
a_price = st.integers(0, 10**8).map(lambda parts: parts / 1e6)
prices = st.builds(PriceConfig, prompt=a_price, answer=a_price)
demands = st.builds(Demand, st.floats(0, 1e7), needs, st.floats(-0.5, 1))
days = st.integers(1, 400)


@given(demands, prices, days)
def test_months_add_up_to_the_same_as_their_days_and_leave_no_day_out(
    demand: Demand, price: PriceConfig, count: int
) -> None:
    spans = list(by_day(demand, price, count))
    months = list(by_month(spans))
    assert [one.first for one in months[1:]] == [one.last + 1 for one in months[:-1]]
    assert (months[0].first, months[-1].last) == (1, count)
    assert math.isclose(total(months).cost, total(spans).cost, rel_tol=1e-9)
    assert math.isclose(total(months).requests, total(spans).requests, rel_tol=1e-9)


@given(needs, prices, days, st.integers(0, 10**6))
def test_without_growth_each_request_costs_what_the_router_charges_for_it(
    need: Need, price: PriceConfig, count: int, requests: int
) -> None:
    spans = list(by_day(Demand(requests, need), price, count))
    assert len({(one.requests, one.cost) for one in spans}) == 1
    assert math.isclose(total(spans).cost, count * requests * need.cost(price) / 1e12, rel_tol=1e-9)


@given(demands, prices, st.integers(1, 200))
def test_thirty_days_later_there_is_more_by_the_growth(demand: Demand, price: PriceConfig, day: int) -> None:
    spans = list(by_day(demand, price, day + 30))
    assert math.isclose(spans[day + 29].requests, spans[day - 1].requests * (1 + demand.growth), rel_tol=1e-9)


@given(demands, prices, days, st.floats(0, 100))
def test_twice_the_requests_cost_twice_as_much(demand: Demand, price: PriceConfig, count: int, times: float) -> None:
    more = Demand(demand.requests_per_day * times, demand.need, demand.growth)
    one, other = total(list(by_day(demand, price, count))), total(list(by_day(more, price, count)))
    assert math.isclose(other.cost, one.cost * times, rel_tol=1e-9, abs_tol=1e-12)
