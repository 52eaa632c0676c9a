"""Counts that are still growing: a router's own, and those that Prometheus has of routers."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from patchbay.router.canary.ledger import Counts


@dataclass(slots=True, kw_only=True)
class GrowingCounts:
    """Counts of one share of the canary's. `requests`, and each of `bad`: by arm, `canary` or `stable`; `own`: of the
    canary's counted requests, how many were bad, by metric; `wins`: pairs by how the canary did; `shadowed`: copies."""

    requests: Counter[str] = field(default_factory=Counter)
    bad: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    own: Counter[str] = field(default_factory=Counter)
    wins: Counter[float] = field(default_factory=Counter)
    shadowed: int = 0

    def counts(self, share: float) -> Counts:
        """What it has come to, of callers who were assigned while the canary had `share` of them."""
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
