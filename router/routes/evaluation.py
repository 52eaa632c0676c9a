"""Evaluation of `auto`: the share of texts that take their right route."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from patchbay.core.errors import ConfigError
from patchbay.router.routes.config import AUTO
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.table import RouteTable


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text and the route that it should take."""

    text: str
    route: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEvaluation:
    """The result of an evaluation.

    `counts`: texts by their right route and the one that they got; `microseconds`, `p99_microseconds`: mean and 99th
    percentile of the time for a text.
    """

    routes: tuple[str, ...]
    counts: Mapping[tuple[str, str], int]
    microseconds: float
    p99_microseconds: float

    @property
    def total(self) -> int:
        """The number of texts."""
        return sum(self.counts.values())

    @property
    def right(self) -> int:
        """The number of texts that took their right route."""
        return sum(self.counts.get((route, route), 0) for route in self.routes)

    @property
    def share(self) -> float:
        """The share of texts that took their right route, 0 to 1."""
        return self.right / max(1, self.total)

    def recall(self, route: str) -> float:
        """Returns the share of a route's texts that took it, 0 to 1."""
        own = sum(count for (wanted, _), count in self.counts.items() if wanted == route)
        return self.counts.get((route, route), 0) / max(1, own)

    def as_json(self) -> dict[str, Any]:
        """Returns the result as JSON."""
        confusion = {want: {got: self.counts.get((want, got), 0) for got in self.routes} for want in self.routes}
        return {
            "texts": self.total,
            "right": self.right,
            "share": self.share,
            "confusion": confusion,
            "microseconds": self.microseconds,
            "p99_microseconds": self.p99_microseconds,
        }


def evaluate(table: RouteTable, texts: Sequence[Text]) -> RouteEvaluation:
    """Routes all of `texts` by `auto`. Raises ConfigError where there is no `auto`, or a text's route does not
    exist."""
    if not table.knows(AUTO):
        raise ConfigError("The configuration has no 'auto' section, so there is nothing to evaluate.")
    if unknown := sorted({text.route for text in texts} - set(table.routes)):
        raise ConfigError(f"A text has the route '{unknown[0]}', which the configuration does not have.")
    counts: Counter[tuple[str, str]] = Counter()
    times: list[float] = []
    for text in texts:
        began = time.perf_counter()
        choice = table.choose(AUTO, RequestFacts(text=text.text))
        times.append((time.perf_counter() - began) * 1e6)
        counts[text.route, choice.route] += 1
    routes = tuple(name for name in sorted(table.routes) if any(name in pair for pair in counts))
    times.sort()
    return RouteEvaluation(
        routes=routes,
        counts=counts,
        microseconds=sum(times) / len(times),
        p99_microseconds=times[int(len(times) * 0.99)],
    )


def read_texts(file: Path) -> list[Text]:
    """Reads texts with their routes from a file of JSON lines. Raises ConfigError, with the line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {file}: {error}") from error
    found = [_text(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ConfigError(f"There are no texts in {file}.")
    return found


def _text(file: Path, number: int, line: str) -> Text:
    try:
        return msgspec.json.decode(line, type=Text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{file}, line {number}: {error}.", hint='A line is {"text": "…", "route": "…"}.') from error
