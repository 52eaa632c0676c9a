"""What Prometheus has of a canary's requests: the same counts that routers keep, as its server scraped them.

The counters are read as they are, and their growth is reckoned here, since `increase()` extrapolates. A counter that
has become smaller was reset by a restart: it has grown by all that it is now. Source of the API:
https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from adapters.errors import PatchbayError
from router.canary.config import CanaryConfig
from router.canary.ledger import Counts
from router.canary.sums import Sum

_EVENTS = "patchbay_router_canary_events_total"
_WEIGHT = "patchbay_router_canary_weight"
_TIMEOUT_S = 5.0
_OWN, _WIN, _COPIED = "own_", "win_", "copied_"


class NoData(PatchbayError):
    """There is nothing to go by; why."""


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True):
    result: list[_Series]


class _Answer(msgspec.Struct, frozen=True):
    data: _Data


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look at the server gave. `cursor`: each series' value, from which the next one goes on."""

    counts: Sequence[Counts]
    cursor: Mapping[str, Any]


class PrometheusSource:
    """One server. `config`: of canaries, with its address."""

    def __init__(self, config: CanaryConfig) -> None:
        token = config.prometheus_token
        headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        self._client = httpx.AsyncClient(base_url=config.prometheus_url or "", headers=headers, timeout=_TIMEOUT_S)
        self._stale_s = config.stale_s

    async def read(self, canary: int, revision: str, cursor: Mapping[str, Any]) -> Reading:
        """What has been counted since `cursor`. Raises NoData where the server is away, or has not seen a router for
        too long."""
        ages = await self._query(f'time() - timestamp({_WEIGHT}{{revision="{revision}"}})')
        if not ages:
            raise NoData("Prometheus has not scraped a router that knows of this canary")
        youngest = min(float(one.value[1]) for one in ages)
        if youngest > self._stale_s:
            raise NoData(f"what Prometheus has of the routers is {youngest:.0f} s old")
        series = await self._query(f'{_EVENTS}{{canary="{canary}"}}')
        return read_counts(series_of(series), cursor)

    async def _query(self, text: str) -> list[_Series]:
        try:
            response = await self._client.get("/api/v1/query", params={"query": text})
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=_Answer).data.result
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            raise NoData(f"Prometheus does not answer ({str(error) or type(error).__name__})") from error

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


def series_of(series: Sequence[_Series]) -> dict[str, tuple[Mapping[str, str], float]]:
    """Each series by a name of its own, with its labels and its value."""
    return {_key(one.metric): (one.metric, float(one.value[1])) for one in series}


def read_counts(series: Mapping[str, tuple[Mapping[str, str], float]], cursor: Mapping[str, Any]) -> Reading:
    """How much the counters have grown since `cursor`, by the canary's share. Pure."""
    by_share: defaultdict[float, Sum] = defaultdict(Sum)
    for name, (labels, value) in series.items():
        before = float(cursor.get(name, 0.0))
        grown = round(value - before if value >= before else value)
        if grown:
            _add(by_share[float(labels["share"])], labels["arm"], labels["event"], grown)
    # What is not there now may come back: a scrape that failed hides a series for a while.
    counts = [one.counts(share) for share, one in sorted(by_share.items())]
    return Reading(counts, {**cursor, **{name: value for name, (_, value) in series.items()}})


def _add(into: Sum, arm: str, event: str, count: int) -> None:
    if event.startswith(_WIN):
        into.wins[float(event.removeprefix(_WIN))] += count
    elif event.startswith(_OWN):
        into.own[event.removeprefix(_OWN)] += count
    elif event.startswith(_COPIED):
        into.own[event.removeprefix(_COPIED)] += count
        into.bad[event.removeprefix(_COPIED)][arm] += count
    elif event == "copied":
        into.requests[arm] += count
        into.shadowed += count
    elif event == "request":
        into.requests[arm] += count
    else:
        into.bad[event][arm] += count


def _key(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={labels.get(name, '')}" for name in ("instance", "arm", "share", "event"))
