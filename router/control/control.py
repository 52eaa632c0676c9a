"""The control loop as a whole: opened with its registry, run beside the data path, closed with it."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import RegistryConfig
from patchbay.adapters.lifecycle import Lifecycle
from patchbay.adapters.publish import Publisher
from patchbay.adapters.standing import REFUSED
from patchbay.registry.canary_decisions import CanaryMoves
from patchbay.registry.registry import Registry
from patchbay.registry.spool import spool_of
from patchbay.registry.usage_book import UsageBook
from patchbay.router.canary.config import DeclaredCanary
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.canary.metric_coverage import Subject, checked
from patchbay.router.canary.served import Served
from patchbay.router.control.canary_counts import Tallies
from patchbay.router.control.context import Context, ControlThreads
from patchbay.router.control.follower import Follower
from patchbay.router.control.pushes import Pushes
from patchbay.router.control.reconciler import DeclaredState, Reconciler
from patchbay.router.control.replicas import ReplicaControl
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.settings.config import RouterConfig
from patchbay.router.settings.pinned import PinnedNames
from patchbay.router.telemetry.metrics import Metrics

_log = logging.getLogger("patchbay.router")
_AGAIN_S = 1.0
# The share of the time for the end in which the registry is still asked; the rest is for spooling what it did not take.
_END_SHARE = 0.4


class Control:
    """A router's side of the registry.

    `reach`: returns the names in the configuration as it is now. Raises RegistryError where the database cannot be
    opened.
    """

    def __init__(
        self,
        *,
        config: RouterConfig,
        settings: RegistryConfig,
        fleet: Fleet,
        controls: Mapping[str, ReplicaControl],
        metrics: Metrics,
        live_canaries: LiveCanaries,
    ) -> None:
        self.settings = settings
        self.reach: Callable[[], PinnedNames] = PinnedNames
        self.served = config.served
        self._told: tuple[Served, Mapping[str, str], Mapping[str, Any]] | None = None
        self._metrics = metrics
        name = config.name or f"{socket.gethostname()}:{os.getpid()}"
        self.registry = Registry.open(settings.url.get_secret_value())
        self.usage_book = UsageBook(self.registry.accounts, spool_of(settings.url.get_secret_value()))
        metrics.registry.watch_spooled(self.usage_book.waiting)
        self.store = ArtifactStore.open(settings.artifacts)
        self.publisher = Publisher(self.registry, self.store, settings, max_rank=config.max_rank)
        self.pushes = Pushes(self.publisher, settings.sources, metrics)
        self.threads = ControlThreads()
        self.lifecycle = Lifecycle(self.registry)
        self.canary_moves = CanaryMoves(self.registry.canaries)
        self.follower = Follower(
            self.registry,
            fleet,
            metrics,
            name=name,
            poll_s=config.registry_poll_s,
            utc_now=self.registry.clock,
        )
        self.follower.served = self._told_served
        self.follower.told.append(lambda snapshot: live_canaries.put(snapshot.canaries))
        self._tallies = Tallies(
            live_canaries, self.registry.canaries, name=name, all_of_it=config.canary.metrics == "embedded"
        )
        self.context = self._context(config, fleet, controls, metrics)
        wishes = DeclaredState(config.adapters, _as_seen(config), config.canary)
        self._reconciler = Reconciler(self.context, self.publisher, wishes, name=name)
        fleet.follow_control()

    def _context(
        self, config: RouterConfig, fleet: Fleet, controls: Mapping[str, ReplicaControl], metrics: Metrics
    ) -> Context:
        return Context(
            registry=self.registry,
            follower=self.follower,
            fleet=fleet,
            controls=controls,
            metrics=metrics,
            keep_warm_s=self.settings.keep_warm_s,
            rollout_timeout_s=config.rollout_timeout_s,
            threads=self.threads,
            utc_now=self.registry.clock,
            reach=self.named,
        )

    def named(self) -> PinnedNames:
        """Returns the names in the configuration as it is now."""
        return self.reach()

    def _told_served(self) -> Mapping[str, Any] | None:
        """Returns the document that tells commands what is served and what is refused, made anew where either is
        another."""
        served, refused = self.named().served, self.follower.refused
        if served is None:
            return None
        if self._told is None or self._told[0] is not served or self._told[1] != refused:
            self._told = served, dict(refused), served.as_json | {REFUSED: dict(refused)}
        return self._told[2]

    async def run(self) -> None:
        """Follows and reconciles until cancelled. Whatever goes wrong in here, requests are still answered."""
        await self.threads.work.run(self.publisher.remove_leftovers)
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.follower.follow())
                    tasks.create_task(self._reconciler.run())
                    tasks.create_task(self._tallies.run())
            except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
                _log.exception("the control loop failed; it starts anew")
                self._metrics.process.fault("control")
                await asyncio.sleep(_AGAIN_S)

    def hurry(self, end_timeout_s: float) -> None:
        """Makes pending calls to the registry end soon, since the router ends within `end_timeout_s` seconds."""
        self.registry.hurry(_END_SHARE * end_timeout_s)

    async def flush(self) -> None:
        """Writes canary counts that are not written yet. Call it once `run` has ended."""
        await self._tallies.close()

    def close(self) -> None:
        """Closes the registry, and ends the pushes that are still under way."""
        self.pushes.stop()
        self.pushes.close()
        self.threads.close()
        self.registry.close()


def _as_seen(config: RouterConfig) -> dict[str, DeclaredCanary]:
    """Returns the declared canaries, their plans without metrics that would see nothing. Raises ConfigError."""
    found: dict[str, DeclaredCanary] = {}
    for name, change in config.canaries.items():
        plan, coverage = checked(change.plan, Subject(name), config.served)
        found[name] = change.model_copy(update={"plan": plan})
        for metric, why in coverage.unseen.items():
            _log.info("the canary of %s@%d will not watch %s: %s", name, change.revision, metric, why)
    return found
