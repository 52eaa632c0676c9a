"""Counts that still grow: a router's own, and those that Prometheus has of routers."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from patchbay.router.canary.ledger import Counts


@dataclass(slots=True, kw_only=True)
class GrowingCounts:
    """Counts of a canary at one share.

    `requests` and each of `bad`: by arm, `canary` or `stable`; `own`: bad ones of the canary's counted requests, by
    metric; `wins`: pairs by the canary's result; `shadowed`: answered copies.
    """

    requests: Counter[str] = field(default_factory=Counter)
    bad: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    own: Counter[str] = field(default_factory=Counter)
    wins: Counter[float] = field(default_factory=Counter)
    shadowed: int = 0

    def counts(self, share: float) -> Counts:
        """Returns the counts so far, of callers who were assigned while the canary had `share` of them (0 to 1)."""
        bad = {name: (of["canary"], of["stable"]) for name, of in self.bad.items()}
        return Counts(
            share=share,
            canary=self.requests["canary"],
            other=self.requests["stable"],
            bad=bad,
            wins=dict(self.wins),
            own=dict(self.own),
            shadowed=self.shadowed,
        )

    def add(self, counts: Counts) -> None:
        """Adds counts of the same share."""
        self.requests.update(canary=counts.canary, stable=counts.other)
        for name, (canary, other) in counts.bad.items():
            self.bad[name].update(canary=canary, stable=other)
        self.own.update(counts.own or {})
        self.wins.update(counts.wins)
        self.shadowed += counts.shadowed
