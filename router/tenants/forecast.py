"""Forecast of costs: requests a day times the charge for each, day by day. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from patchbay.core.money import TRILLION
from patchbay.router.tenants.config import PriceConfig
from patchbay.router.tenants.limiter import Need

MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Demand:
    """The expected demand.

    `requests_per_day`: on the first day; `need`: tokens of a request's prompt and of its answer; `growth`: the share by
    which requests grow in 30 days, compounded daily: 0.1 is a tenth more.
    """

    requests_per_day: float
    need: Need
    growth: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSpan:
    """The forecast for `days` days from the day `first` on, counted from 1. `cost`: in the currency of the prices."""

    first: int
    days: int
    requests: float
    prompt_tokens: float
    answer_tokens: float
    cost: float

    @property
    def last(self) -> int:
        """The last day."""
        return self.first + self.days - 1


def by_day(demand: Demand, price: PriceConfig, days: int) -> Iterator[ForecastSpan]:
    """Yields the forecast of each of `days` days. A request costs what the router charges for it."""
    each = demand.need.cost(price) / TRILLION
    for day in range(days):
        requests = demand.requests_per_day * (1 + demand.growth) ** (day / MONTH_DAYS)
        prompt, answer = requests * demand.need.prompt, requests * demand.need.answer
        yield ForecastSpan(
            first=day + 1, days=1, requests=requests, prompt_tokens=prompt, answer_tokens=answer, cost=requests * each
        )


def by_month(spans: Sequence[ForecastSpan]) -> Iterator[ForecastSpan]:
    """Yields sums of 30 days each; the last may be shorter."""
    for first in range(0, len(spans), MONTH_DAYS):
        yield total(spans[first : first + MONTH_DAYS])


def total(spans: Sequence[ForecastSpan]) -> ForecastSpan:
    """Sums up one or more spans that follow each other."""
    return replace(
        spans[0],
        days=sum(span.days for span in spans),
        requests=sum(span.requests for span in spans),
        prompt_tokens=sum(span.prompt_tokens for span in spans),
        answer_tokens=sum(span.answer_tokens for span in spans),
        cost=sum(span.cost for span in spans),
    )
