"""The mixture of data sets by weights, with caps, deterministic: the same sources and seed give the same rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nsmallest
from types import MappingProxyType
from typing import Final

from patchbay.core.errors import ConfigError, DataError
from patchbay.tuning.data.rows import Row

_NO_CAPS: Mapping[str, int] = MappingProxyType({})
# Handbooks' range for the share of the task's own rows; the rest is general and safety data, against forgetting.
DOMAIN_SHARE: Final = (0.6, 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixPlan:
    """The order of a mixture. `weights`: of each source, by name; `rows`: in all, as many as the sources have where
    None; `caps`: the most rows of a source; `repeat`: whether rows of a source that is too small are repeated;
    `balance`: the most rows with one and the same answer, None for no limit; `seed`: another one draws other rows."""

    weights: Mapping[str, float]
    rows: int | None = None
    caps: Mapping[str, int] = field(default_factory=lambda: _NO_CAPS)
    repeat: bool = False
    balance: int | None = None
    seed: int = 0


def parse_sources(texts: Sequence[str]) -> Mapping[str, float]:
    """Reads weights as `tickets@4=0.7`. Raises ConfigError."""
    found: dict[str, float] = {}
    for text in texts:
        name, separator, number = text.partition("=")
        try:
            weight = float(number) if separator else 1.0
        except ValueError:
            weight = -1.0
        if weight <= 0 or not name or name in found:
            raise ConfigError(f"'{text}' is no source with its weight.", hint="Write each once, as tickets@4=0.7.")
        found[name] = weight
    return found


def quotas(plan: MixPlan, available: Mapping[str, int]) -> Mapping[str, int]:
    """Says how many rows of each source are taken.

    Without `plan.rows` as many as possible at exactly the weights, a capped source counting as large as its cap: the
    source that is scarcest for its weight sets the size. Raises DataError where a source has too few for `plan.rows`.
    """
    total = sum(plan.weights.values())
    shares = {name: weight / total for name, weight in plan.weights.items()}
    most = {
        name: available[name] if name not in plan.caps else min(available[name], plan.caps[name]) for name in shares
    }
    if plan.rows is None:
        whole = min(most[name] / share for name, share in shares.items())
        return {name: min(most[name], round(whole * share)) for name, share in shares.items()}
    wanted = {name: min(round(plan.rows * share), plan.caps.get(name, plan.rows)) for name, share in shares.items()}
    short = [name for name in shares if wanted[name] > available[name]]
    if short and not (plan.repeat and all(available[name] for name in short)):
        name = short[0]
        raise DataError(
            f"{name} has {available[name]} rows, and {wanted[name]} are wanted.",
            hint="Ask for fewer (--rows), lower its weight, or repeat rows (--repeat).",
        )
    return wanted


def drawn(rows: Iterable[Row], quota: int, plan: MixPlan, source: str) -> Iterator[Row]:
    """Draws `quota` rows of one source: those whose keyed hashes are least, so that more rows drawn later hold these.

    Each is marked with its source, unless it has one. Repeated rows come once more whole, then in part.
    """

    def order(row: Row) -> bytes:
        return _order(row, plan.seed)

    # All rows are held at once only where their answers must be compared.
    kept = (
        nsmallest(quota, rows, key=order)
        if plan.balance is None
        else [*_balanced(sorted(rows, key=order), plan.balance)]
    )
    for at in range(quota):
        if at >= len(kept) and not (plan.repeat and kept):
            return
        row = kept[at % len(kept)]
        yield row if row.marks.source else row.marked(source=source)


def shares_of(counts: Mapping[str, int]) -> Mapping[str, float]:
    """Returns the share of each source that came of a mixture."""
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def _balanced(rows: Iterable[Row], most: int | None) -> Iterator[Row]:
    counts = Counter[str]()
    for row in rows:
        answer = "\n".join(row.answers).strip()
        counts[answer] += 1
        if most is None or counts[answer] <= most:
            yield row


def _order(row: Row, seed: int) -> bytes:
    return blake2b(f"{seed}:{row.digest}".encode(), digest_size=8).digest()
