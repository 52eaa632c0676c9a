"""Guard step of a request: runs its guards, and reports their findings to metrics, audit log and canary."""

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

from patchbay.core.asgi import header
from patchbay.core.offload import Offload
from patchbay.guards.findings import Findings
from patchbay.guards.judges.judge import TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.session import HEADER, GuardSession
from patchbay.guards.verdict import OPEN
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.headers import VERDICTS
from patchbay.router.routes.table import Choice
from patchbay.router.settings.policy import PolicyHolder
from patchbay.router.telemetry.guard_metrics import GuardMetrics

# One JSON object for each finding: its kind, place and guard, never the text.
_audit = logging.getLogger("patchbay.audit")

# Kinds of findings that are no matter of safety. Each has a canary's metric of its own.
_METRICS = {"SCHEMA": "schema", "SCHEMA_UNCHECKED": "schema", "REFUSAL": "refusals"}


class GuardStep:
    """Step that puts a request and its answer under the guards of its route and tenant.

    `policy`: holds the pipelines; `key`: the secret of the findings' hashes; `judges`: the models that some guards ask;
    `offload`: does slow work; `waiting`: the same for work that mostly waits for finders of entities.
    """

    def __init__(
        self,
        *,
        policy: PolicyHolder,
        metrics: GuardMetrics,
        key: bytes,
        judges: Judges,
        offload: Offload,
        waiting: Offload,
    ) -> None:
        self._policy = policy
        self._metrics = metrics
        self._key = key
        self._judges = judges
        self._offload = offload
        self._waiting = waiting

    async def check(self, exchange: Exchange, choice: Choice, tenant: str, body: bytes) -> bytes:
        """Checks a request's body, and returns it as it may go on. Its answer will go through the same guards.

        Raises ContentFiltered where a guard blocks the request, and Rerouted where one sends it to another route.
        """
        if exchange.guard_session is not None:
            self.done(exchange)
            exchange.drop_headers(HEADER)
        pipeline = self._policy.policy.guards.pipeline(choice.config.guards if choice.config else (), tenant)
        if pipeline is None:
            return body
        facts = TextOrigin(
            request=exchange.arrival.id.decode("latin-1"), route=choice.route if choice.config else "", tenant=tenant
        )
        guard_session = exchange.guard_session = GuardSession(
            pipeline=pipeline,
            endpoint=exchange.asked.endpoint.name,
            key=self._key,
            judges=self._judges,
            facts=facts,
            offload=self._waiting if pipeline.asks_in("input") or pipeline.asks_in("output") else self._offload,
        )
        guard_session.tells_results = header(exchange.arrival.request.headers, VERDICTS) == b"1"
        try:
            body = await guard_session.checked(body)
        finally:
            exchange.tell_of(guard_session)
            # After a block or a reroute nothing else ends this session, so it is reported here.
            if any(one.action in ("block", "route") for one in guard_session.findings.counts):
                self.done(exchange)
        exchange.relay.guard_session = guard_session if guard_session.looks_at_answers else None
        return body

    def while_judged(self, exchange: Exchange, answering: Coroutine[Any, Any, Target]) -> Coroutine[Any, Any, Target]:
        """Runs `answering` while judges look at the prompt, where some have to be asked.

        Nothing reaches the client before the verdict, and a verdict that refuses the request cancels the work. Raises
        what either of the two raises.
        """
        guard_session = exchange.guard_session
        if guard_session is None or not guard_session.judges_prompt:
            return answering
        return self._judged(exchange, guard_session, answering)

    async def _judged(
        self, exchange: Exchange, guard_session: GuardSession, answering: Coroutine[Any, Any, Target]
    ) -> Target:
        judging = exchange.relay.cleared = asyncio.create_task(self._cleared(exchange, guard_session))
        work = asyncio.create_task(answering)
        try:
            await asyncio.wait({judging, work}, return_when=asyncio.FIRST_COMPLETED)
            if judging.done():
                judging.result()
            return await work
        finally:
            for task in (work, judging):
                task.cancel()
            await asyncio.gather(work, judging, return_exceptions=True)
            exchange.relay.cleared = None

    async def _cleared(self, exchange: Exchange, guard_session: GuardSession) -> None:
        try:
            await guard_session.judge_prompt()
        finally:
            exchange.tell_of(guard_session)

    def done(self, exchange: Exchange) -> None:
        """Reports the findings of the current session, which must be complete, and clears them."""
        guard_session = exchange.guard_session
        if guard_session is None or not guard_session.findings.counts:
            return
        for found, count in guard_session.findings.counts.items():
            self._metrics.verdict(found.guard, found.kind, found.action, found.side, count)
        exchange.result.bad.update(_bad_for(guard_session.findings))
        request = exchange.arrival.id.decode()
        for one in guard_session.findings.first:
            said = {
                "request": request,
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
        if guard_session.findings.more:
            _audit.info("%s", json.dumps({"request": request, "more": guard_session.findings.more}))
        guard_session.findings.clear()


def _bad_for(findings: Findings) -> set[str]:
    """Returns the canary's metrics that an answer's findings count for."""
    kinds = {(one.kind, one.action) for one in findings.counts if one.side == "output" and not one.dry_run}
    metrics = {_METRICS.get(kind, "guards" if action in ("block", "redact") else "") for kind, action in kinds}
    return metrics - {""}
