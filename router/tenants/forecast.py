"""What tokens will cost: requests a day times what one is charged, day by day. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from patchbay.core.money import TRILLION
from patchbay.router.tenants.config import PriceConfig
from patchbay.router.tenants.limiter import Need

MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Demand:
    """What is expected. `requests_per_day`: on the first day; `need`: tokens of a request's prompt and of its answer;
    `growth`: by which share requests grow in 30 days, compounded daily: 0.1 is a tenth more."""

    requests_per_day: float
    need: Need
    growth: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSpan:
    """What `days` days from `first` on take, the first day of all being 1. `cost`: in the currency of the prices."""

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
    """Each of `days` days. A request costs what the router charges for it."""
    each = demand.need.cost(price) / TRILLION
    for day in range(days):
        requests = demand.requests_per_day * (1 + demand.growth) ** (day / MONTH_DAYS)
        prompt, answer = requests * demand.need.prompt, requests * demand.need.answer
        yield ForecastSpan(
            first=day + 1, days=1, requests=requests, prompt_tokens=prompt, answer_tokens=answer, cost=requests * each
        )


def by_month(spans: Sequence[ForecastSpan]) -> Iterator[ForecastSpan]:
    """Days in months of 30, the last one as long as there are days."""
    for first in range(0, len(spans), MONTH_DAYS):
        yield total(spans[first : first + MONTH_DAYS])


def total(spans: Sequence[ForecastSpan]) -> ForecastSpan:
    """All of one or more spans that follow each other."""
    return replace(
        spans[0],
        days=sum(one.days for one in spans),
        requests=sum(one.requests for one in spans),
        prompt_tokens=sum(one.prompt_tokens for one in spans),
        answer_tokens=sum(one.answer_tokens for one in spans),
        cost=sum(one.cost for one in spans),
    )
