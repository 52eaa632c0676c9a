"""The Prometheus server as a source of canary counts: the same counts that routers keep, as it has scraped them.

Counters are read as they are, and their growth is computed here, since `increase()` extrapolates. A counter that has
become smaller was reset by a restart, so it has grown by its whole value. One server may have the series of several
installations, and of one router by several jobs: series are told apart by the installation's id and the router's name.
Source of the API: https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries).
"""

from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from patchbay.core.errors import PatchbayError
from patchbay.router.canary.config import CanaryConfig
from patchbay.router.canary.counts import GrowingCounts
from patchbay.router.canary.ledger import Counts

_EVENTS = "patchbay_router_canary_events_total"
_INFO = "patchbay_router_info"
_LABELS = ("router", "arm", "share", "event")
_TIMEOUT_S = 5.0
_OWN, _WIN, _COPIED = "own_", "win_", "copied_"
# The gaps kept of each router. The shortest counts: an outage makes one of them long, and not all.
_GAPS = 4
_MOST_SAID = 160


class NoData(PatchbayError):
    """Error: the server has no data to judge by. Its message is the reason."""


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True):
    result: list[_Series]


class _Answer(msgspec.Struct, frozen=True):
    data: _Data


class _Refusal(msgspec.Struct, frozen=True):
    error: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of one look at the server. `cursor`: each series' value, from which the next look goes on."""

    counts: Sequence[Counts]
    cursor: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scraped:
    """The series that are asked for.

    `installation`: the registry's id; `routers`: the names of the living ones, all of which have to be there.
    """

    installation: str
    routers: Collection[str]


class Freshness:
    """Judges the age of the server's data about each router. `stale_s`: the age from which data counts as none."""

    def __init__(self, stale_s: float) -> None:
        self._stale_s = stale_s
        self._last: dict[str, float] = {}
        self._gaps: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_GAPS))

    def fault(self, scraped_s: Mapping[str, float], wanted: Collection[str], now_s: float) -> str | None:
        """Returns the reason why the data does not count, None where it does. The text stays the same while the reason
        does.

        `scraped_s`: Unix time of each router's last scrape; `wanted`: the routers that have to be there; `now_s`: Unix
        time by the server's clock.
        """
        self._note(scraped_s)
        missing = sorted(set(wanted) - scraped_s.keys())
        if missing or not scraped_s:
            unseen = ", ".join(missing) or "a router of this installation"
            return f"Prometheus has not scraped {unseen}"
        slow = max((min(self._gaps[name]) for name in wanted if self._gaps[name]), default=0.0)
        if slow > self._stale_s:
            return (
                f"canary.stale_s ({self._stale_s:g} s) is below Prometheus' scrape interval (about {slow:.0f} s): "
                f"set it to {3 * slow:.0f} or more"
            )
        stale = sorted(name for name in wanted if now_s - scraped_s[name] > self._stale_s)
        return f"Prometheus' data about {', '.join(stale)} is older than {self._stale_s:g} s" if stale else None

    def _note(self, scraped_s: Mapping[str, float]) -> None:
        for name, at_s in scraped_s.items():
            gap_s = at_s - self._last.get(name, at_s)
            if gap_s > 0:
                self._gaps[name].append(gap_s)
        self._last |= scraped_s


class PrometheusSource:
    """Reads counts from one server. `config`: of canaries, with the server's address."""

    def __init__(self, config: CanaryConfig) -> None:
        token = config.prometheus_token
        headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        self._client = httpx.AsyncClient(base_url=config.prometheus_url or "", headers=headers, timeout=_TIMEOUT_S)
        self._freshness = Freshness(config.stale_s)

    async def read(self, canary: int, of: Scraped, cursor: Mapping[str, Any]) -> Reading:
        """Returns the counts since `cursor`.

        `of`: the installation and its routers. Raises NoData where the server cannot be reached, lacks a router, or has
        only data that is too old.
        """
        ours = f'installation="{of.installation}"'
        times = await self._query(f"max by (router) (timestamp({_INFO}{{{ours}}}))")
        scraped_s = {sample.metric.get("router", ""): float(sample.value[1]) for sample in times}
        fault = self._freshness.fault(scraped_s, of.routers, times[0].value[0] if times else 0.0)
        if fault is not None:
            raise NoData(fault)
        by = ", ".join(_LABELS)
        series = await self._query(f'max by ({by}) ({_EVENTS}{{{ours},canary="{canary}"}})')
        return read_counts(series_of(series), cursor)

    async def _query(self, text: str) -> list[_Series]:
        try:
            response = await self._client.get("/api/v1/query", params={"query": text})
        except httpx.HTTPError as error:
            raise NoData(f"Prometheus cannot be reached ({_line(str(error) or type(error).__name__)})") from error
        if not response.is_success:
            raise NoData(f"Prometheus does not answer: HTTP {response.status_code}{_why(response)}")
        try:
            return msgspec.json.decode(response.content, type=_Answer).data.result
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoData(
                "the server at canary.prometheus_url does not speak Prometheus' API: is it the right URL?"
            ) from error

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


def _why(response: httpx.Response) -> str:
    """Returns the short reason of a refusal: the target of a redirect, or the API's own message."""
    if response.is_redirect:
        return f", a redirect to {_line(response.headers['location'])}; is canary.prometheus_url right?"
    try:
        return f", {_line(msgspec.json.decode(response.content, type=_Refusal).error)}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _line(text: str) -> str:
    """Returns the first line of a foreign message, cut where it is long."""
    first = next(iter(text.splitlines()), "")
    return first if len(first) <= _MOST_SAID else f"{first[:_MOST_SAID]}…"


def series_of(series: Sequence[_Series]) -> dict[str, tuple[Mapping[str, str], float]]:
    """Returns each series by a name of its own, with its labels and its value."""
    return {_key(sample.metric): (sample.metric, float(sample.value[1])) for sample in series}


def read_counts(series: Mapping[str, tuple[Mapping[str, str], float]], cursor: Mapping[str, Any]) -> Reading:
    """Computes the growth of the counters since `cursor`, by the canary's share. Pure."""
    by_share: defaultdict[float, GrowingCounts] = defaultdict(GrowingCounts)
    for name, (labels, value) in series.items():
        before = float(cursor.get(name, 0.0))
        grown = round(value - before if value >= before else value)
        if grown:
            _add(by_share[float(labels["share"])], labels["arm"], labels["event"], grown)
    # Values of absent series are kept: a scrape that failed hides a series only for a while.
    counts = [growing.counts(share) for share, growing in sorted(by_share.items())]
    return Reading(counts, {**cursor, **{name: value for name, (_, value) in series.items()}})


def _add(into: GrowingCounts, arm: str, event: str, count: int) -> None:
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
    return ",".join(f"{name}={labels.get(name, '')}" for name in _LABELS)
