"""One router process: what it is made of, and the order in which its parts start and stop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from secrets import token_bytes
from socket import socket
from typing import Any

from patchbay.core import descriptors
from patchbay.core.admin_token import own_token, token_path
from patchbay.core.background import keep_running
from patchbay.core.errors import PatchbayError, RegistryError, StartError
from patchbay.core.loop_watch import LoopWatch
from patchbay.core.settings import is_loopback
from patchbay.registry.records import Access, ReplicaAddress
from patchbay.router.admin.app import AdminParts, build_admin
from patchbay.router.admission.admission import Admission
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.canary.metric_coverage import blind_spots
from patchbay.router.canary.served import served_of
from patchbay.router.control.context import utc_now
from patchbay.router.control.control import Control
from patchbay.router.control.replicas import ReplicaControls
from patchbay.router.discovery.members import Members
from patchbay.router.discovery.poller import Poller, Probe
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.forward.heartbeats import Heartbeats
from patchbay.router.http.asgi_listener import Listener, bind, url_of
from patchbay.router.http.origin_check import OriginCheck
from patchbay.router.http.port import Port, PortLimits
from patchbay.router.process.name_check import NameCheck
from patchbay.router.request.endings import Endings
from patchbay.router.request.handler_parts import HandlerParts
from patchbay.router.request.public_app import PublicApp
from patchbay.router.responses.kept_responses import KeptResponses
from patchbay.router.settings.config import PolicyConfig, RouterConfig
from patchbay.router.settings.idle_settings import open_to_all
from patchbay.router.settings.pinned import PinnedNames, pinned_names
from patchbay.router.settings.policy import PolicyHolder, ReadPolicy
from patchbay.router.telemetry.access_log import AccessLog
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.telemetry.tracing import open_tracer
from patchbay.router.tenants.config import CountersConfig
from patchbay.router.tenants.counters import Counters, MemoryCounters, RedisCounters
from patchbay.router.tenants.limiter import Limiter
from patchbay.router.tenants.role_keys import Role, RoleRing
from patchbay.router.tenants.usage import TenantUsage

_log = logging.getLogger("patchbay.router")
_LAST_WORDS_S = 1.0
_READY_S = 30.0
_NOBODY = Access()


class Router:
    """A router. Both ports are bound when this returns: raises StartError where one is taken, and ConfigError where
    traces are wanted and cannot be sent.

    `read`: how `policy_file` is read anew, by default as a router's own file; `ending`: told how long the rest may
    take, in seconds, when the end begins, whatever it is that ends it. Build it within the event loop that runs it.
    """

    def __init__(
        self,
        config: RouterConfig,
        read: ReadPolicy | None = None,
        ending: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._config = config
        self._pinned: tuple[PolicyConfig, PinnedNames] | None = None
        self._ending = ending
        public, admin = _bind_both(config)
        self.url, self.admin_url = url_of(public), url_of(admin)
        self.metrics = Metrics(config.metrics_series)
        self.fleet = Fleet(created=int(time.time()))
        self.live_canaries = LiveCanaries(self.metrics.canaries, time.perf_counter, config.canary.reserved_pools)
        self._members = Members(config, self.fleet, listed=self._listed, on_stray=self._on_stray)
        self.control = self._open_control(config)
        self._names = NameCheck(self.fleet, self.control, config.adapters)
        self.policy = self._open_policy(config, read)
        self._usage = TenantUsage(self.control.usage_book, utc_now) if self.control else None
        self._kept = self._open_kept(config)
        self._limiter = Limiter(_counters(config.counters), config.counters)
        self._admission = Admission(
            config=config.admission,
            replicas=lambda: self.fleet.view.replicas,
            statuses=self.fleet.statuses,
            clock=time.perf_counter,
            hold_s=config.carry_timeout_s,
        )
        self._tracer = open_tracer(config.tracing, self.url) if config.tracing is not None else None
        self._key = _guard_key(config)
        access = AccessLog(self._key) if config.access_log else None
        endings = Endings(self.metrics, time.perf_counter, self._tracer, access)
        self.public_app = PublicApp(self._parts(), self._members.links, endings)
        self._public = self._open_port(config, public)
        self._admin = Listener(build_admin(self._admin_parts()), admin)
        self._poller = Poller(config, self.fleet, self._probe, self.metrics.process)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self.up = asyncio.Event()
        self._watch()

    def stop(self) -> None:
        """Begins the end: no new work, and what is in flight may finish. The second call cuts that short."""
        if self._stop.is_set():
            self._hurry.set()
        self._ending(0.0 if self._hurry.is_set() else self._config.drain_timeout_s)
        self.public_app.draining = True
        self._stop.set()

    async def run(self) -> None:
        """Starts, serves until `stop`, drains, and ends with nothing left open."""
        async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
            await opened.enter_async_context(self._members)
            if self._tracer is not None:
                opened.push_async_callback(self._tracer.close)
            opened.push_async_callback(self._limiter.close)
            opened.push_async_callback(self.public_app.close)
            if self.control is not None and self._usage is not None:
                opened.callback(self.control.close)
                opened.push_async_callback(self._usage.close, self._config.end_timeout_s / 2)
                opened.push_async_callback(self.control.flush)
                await self.control.follower.look()
            if self._kept is not None:
                opened.push_async_callback(self._kept.close, self._config.end_timeout_s / 4)
            # Closing may wait for threads, databases and peers that never answer.
            opened.callback(self._ending, 0.0)
            background = [
                tasks.create_task(keep_running(name, work, self.metrics.process.fault), name=name)
                for name, work in self._lasting().items()
            ]
            await self._poller.seen_all.wait()
            if self.control is not None:
                background.append(tasks.create_task(self.control.run()))
            if self._config.reuse_port:
                await self._until_ready()
            public = tasks.create_task(self._public.run_until_stopped())
            admin = tasks.create_task(self._admin.run_until_stopped())
            await asyncio.gather(self._public.up.wait(), self._admin.up.wait())
            self.up.set()
            self._tell_state()
            background.append(tasks.create_task(self._names.tell(self.policy)))
            await self._stop.wait()
            await self._drain(public)
            self._admin.stop()
            await asyncio.gather(public, admin)
            for task in background:
                task.cancel()

    def _lasting(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Returns the background work that lasts as long as the router, by name."""
        lasting = {"poller": self._poller.run, "members": self._members.run, "limiter": self._limiter.run}
        lasting["event loop watch"] = LoopWatch(meter=self.metrics.loop, busy=lambda: self.public_app.in_flight > 0).run
        if self._config.stream.heartbeat_s is not None:
            beats = Heartbeats(self._config.stream.heartbeat_s, lambda: self.public_app.work)
            lasting["heartbeats"] = beats.run
        if self._usage is not None:
            lasting["usage"] = self._usage.run
        if self._kept is not None:
            lasting |= {"kept responses": self._kept.queue.run, "purge of responses": self._kept.purge}
        return lasting

    def _tell_state(self) -> None:
        """Says what an operator should know at the start."""
        if self.policy.clients.is_open:
            _log.info("%s", open_to_all(self.url, has_registry=self.control is not None))
        for words in self._names.idle(self._config):
            _log.warning("%s", words)
        _log.info("listening on %s, admin on %s", self.url, self.admin_url)
        _tell_names(self._config)

    async def _until_ready(self) -> None:
        """Waits until requests can be answered: while another router on the port can, none should come here."""
        stopped = asyncio.create_task(self._stop.wait())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_S):
                while not self.public_app.ready and not stopped.done():
                    changed = asyncio.create_task(self.fleet.changed(_READY_S))
                    await asyncio.wait({stopped, changed}, return_when=asyncio.FIRST_COMPLETED)
                    changed.cancel()
        stopped.cancel()

    async def _drain(self, public: asyncio.Task[None]) -> None:
        """Stops accepting, waits for what is in flight, and past the deadline tells the rest that it is over."""
        _log.info("draining: %d in flight", self.public_app.in_flight)
        self._public.stop()
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({public, hurry}, timeout=self._config.drain_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        self.public_app.interrupt()
        await asyncio.wait({public, hurry}, timeout=_LAST_WORDS_S)
        # Whoever does not read its answer even now is not waited for.
        self._public.stop(at_once=True)
        if self.control is not None:
            self.control.pushes.stop()
            self.control.hurry(self._config.end_timeout_s)

    def _open_control(self, config: RouterConfig) -> Control | None:
        if config.registry is None:
            return None
        controls = ReplicaControls(self.fleet, self._members.links)
        control = Control(
            config=config,
            settings=config.registry,
            fleet=self.fleet,
            controls=controls,
            metrics=self.metrics,
            live_canaries=self.live_canaries,
        )
        # Asked once it runs: the policy is opened after this.
        control.reach = self._pinned_names
        return control

    def _open_kept(self, config: RouterConfig) -> KeptResponses | None:
        """Opens what is kept of responses: where nothing more is to be kept, what was stays until it expires."""
        if self.control is None:
            return None
        return KeptResponses(
            self.control.registry.responses,
            config.responses,
            self.metrics.responses,
            most_bytes=config.max_body_bytes,
            clock=time.monotonic,
        )

    def _open_port(self, config: RouterConfig, public: socket) -> Port:
        return Port(
            self.public_app,
            public,
            limits=PortLimits(
                body_bytes=config.max_body_bytes,
                head_timeout_s=config.head_timeout_s,
                idle_timeout_s=config.idle_timeout_s,
                descriptors=descriptors.for_clients(),
                bodies_bytes=max(config.max_bodies_mib * 1024 * 1024, config.max_body_bytes),
            ),
            shared=config.reuse_port,
            fault=self.metrics.process.fault,
            shed=self.metrics.process.connection_shed,
        )

    def _admin_parts(self) -> AdminParts:
        config = self._config
        return AdminParts(
            public_app=self.public_app,
            fleet=self.fleet,
            metrics=self.metrics,
            drain=self.stop,
            keys=_admin_keys(config),
            policy=self.policy,
            live_canaries=self.live_canaries,
            door=OriginCheck(bound=config.admin_host, hosts=config.admin_hosts, setting="admin_hosts"),
            control=self.control,
        )

    def _open_policy(self, config: RouterConfig, read: ReadPolicy | None) -> PolicyHolder:
        policy = PolicyHolder(config, self._access, utc_now, must_show=not is_loopback(config.host), read=read)
        policy.told, policy.warned = self._audit_reload, self._names.warnings
        if self.control is not None:
            # Here, and not with the next request: what is wrong with tenants is said once it is known.
            self.control.follower.told.append(lambda _: policy.look())
        return policy

    def _parts(self) -> HandlerParts:
        return HandlerParts(
            config=self._config,
            fleet=self.fleet,
            policy=self.policy,
            limiter=self._limiter,
            admission=self._admission,
            metrics=self.metrics,
            usage=self._usage,
            clock=time.perf_counter,
            guard_key=self._key,
            live_canaries=self.live_canaries,
            kept=self._kept,
            adapters=lambda: self.control.follower.snapshot.adapters if self.control is not None else {},
        )

    def _pinned_names(self) -> PinnedNames:
        """What the policy names that holds now, made once for each."""
        config = self.policy.policy.config
        if self._pinned is None or self._pinned[0] is not config:
            at = self._config.served
            served = served_of(config, votes=at.votes, pools=at.pools, reserved=at.reserved)
            self._pinned = config, pinned_names(config, served)
        return self._pinned[1]

    async def reload(self) -> None:
        """Reads what can change of the configuration anew; where it is wrong, nothing changes and the log says so."""
        with contextlib.suppress(PatchbayError):
            await self.policy.reload()

    def _access(self) -> Access | None:
        return self.control.follower.access if self.control is not None else _NOBODY

    async def _audit_reload(self, changed: Sequence[str]) -> None:
        if self.control is None:
            return
        served = self._pinned_names().served
        for words in blind_spots(self.live_canaries.live, served) if served is not None else ():
            _log.warning("%s", words)
        details = {"changed": list(changed), "version": self.policy.policy.number}
        name = str(self._config.policy_file.name if self._config.policy_file else "")
        try:
            await self.control.threads.admin.run(self.control.registry.record, "reload", "policy.reload", name, details)
        except RegistryError as error:
            _log.warning("the audit does not have this reload: %s", error)

    def _listed(self) -> Sequence[ReplicaAddress]:
        return self.control.registry.replicas() if self.control is not None else ()

    def _on_stray(self, name: str) -> None:
        _log.warning("replica %s went on after the end of its answer", name)
        self.metrics.replicas.failed(name, "protocol")

    def _probe(self, name: str) -> Probe:
        link = self._members.links[name]
        told = partial(self.fleet.put_status, name)
        own = partial(self.public_app.at_replica, name)
        return Probe(
            client=link.client, token=link.token, timeout_s=self._config.poll_timeout_s, on_status=told, own=own
        )

    def _served(self) -> frozenset[str]:
        """The revisions that replicas serve or canaries try, and the models that have none."""
        known = {target.revision or target.label for target in self.fleet.view.table.values()}
        return frozenset(known | {assignment.revision for assignment in self.live_canaries.running.values()})

    def _watch(self) -> None:
        self.metrics.answers.watch_served(self._served)
        self.metrics.admission.watch_tenants_without_tier(lambda: self.policy.tenants_without_tier)
        self.metrics.admission.watch_waiting(lambda: self._admission.waiting)
        self.metrics.requests.watch_in_flight(lambda: self.public_app.in_flight)
        self.metrics.replicas.watch_states(lambda state: sum(seen.state == state for seen in self.fleet.view.replicas))


def _guard_key(config: RouterConfig) -> bytes:
    return config.guard_key.get_secret_value().encode() if config.guard_key is not None else token_bytes(32)


def _counters(config: CountersConfig) -> Counters:
    if config.redis is None:
        return MemoryCounters(time.time)
    return RedisCounters(config.redis.get_secret_value(), prefix=config.prefix, timeout_s=config.timeout_s)


def _bind_both(config: RouterConfig) -> tuple[socket, socket]:
    public = bind(config.host, config.port, shared=config.reuse_port)
    try:
        return public, bind(config.admin_host, config.admin_port, shared=config.reuse_port)
    except StartError:
        public.close()
        raise


def _tell_names(config: RouterConfig) -> None:
    """Says that only addresses open a port that others reach, where no name of it is told."""
    for host, names, setting in (
        (config.host, config.hosts, "hosts"),
        (config.admin_host, config.admin_hosts, "admin_hosts"),
    ):
        if not is_loopback(host) and not names:
            _log.warning(
                "%s: only requests to IP addresses and localhost are answered; add other names to '%s' "
                "('router.%s' in a patchbay.yaml)",
                host,
                setting,
                setting,
            )


def _admin_keys(config: RouterConfig) -> RoleRing:
    tokens: list[tuple[str, Role, str]] = [
        (one.name, one.role, one.token.get_secret_value()) for one in config.admin_tokens
    ]
    if config.admin_token is not None:
        tokens.append(("admin", "admin", config.admin_token.get_secret_value()))
    if config.own_token:
        tokens.append(("admin", "admin", own_token(token_path())))
    return RoleRing(tokens)
