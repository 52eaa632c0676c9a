"""Guards on the way of a request: what they find is counted, told and noted."""

import json
import logging

from router.forward.exchange import Exchange
from router.guards.guarded import HEADER, Guarded, kinds_of
from router.guards.verdict import OPEN
from router.metrics import Metrics
from router.policy import PolicyHolder
from router.routes.book import Choice

# One JSON object a finding: what, where and by whom, never the text.
_audit = logging.getLogger("patchbay.audit")


class Guarding:
    """`key`: what the marks of findings are made with."""

    def __init__(self, policy: PolicyHolder, metrics: Metrics, key: bytes) -> None:
        self._policy = policy
        self._metrics = metrics
        self._key = key

    def check(self, exchange: Exchange, choice: Choice, tenant: str, body: bytes) -> bytes:
        """A request's body as it may go on; its answer will go through the same guards.

        Raises ContentFiltered where a guard blocks it, and Rerouted where it has it go elsewhere.
        """
        self.done(exchange)
        exchange.extra = [pair for pair in exchange.extra if pair[0] != HEADER]
        pipeline = self._policy.policy.guards.pipeline(choice.config.guards if choice.config else (), tenant)
        if pipeline is None:
            return body
        guarded = exchange.guarded = Guarded(pipeline, exchange.endpoint.name, self._key)
        try:
            body = guarded.checked(body)
        finally:
            exchange.extra = guarded.headers(exchange.extra)
            # Where it ends here, nobody else notes it.
            if any(one.action in ("block", "route") for one in guarded.findings):
                self.done(exchange)
        exchange.relay.guarded = guarded if guarded.looks_at_answers else None
        return body

    def done(self, exchange: Exchange) -> None:
        """Notes what was found, once nothing more will be."""
        guarded = exchange.guarded
        if guarded is None or not guarded.findings:
            return
        for (guard, kind, action, side), count in kinds_of(guarded.findings).items():
            self._metrics.verdict(guard, kind, action, side, count)
        for one in guarded.findings:
            said = {
                "request": exchange.id.decode(),
                "guard": one.guard,
                "rule": one.rule,
                "kind": one.kind,
                "action": one.action,
                "side": one.side,
                "span": [one.start, None if one.end == OPEN else one.end],
                "mark": one.mark,
                "dry_run": one.dry_run,
            }
            _audit.info("%s", json.dumps(said))
        guarded.findings.clear()
