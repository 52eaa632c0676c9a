"""One router process: what it is made of, and the order in which its parts start and stop."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from socket import socket

from adapters.errors import StartError
from adapters.registry.records import ReplicaAddress
from router.admin import AdminParts, build_admin
from router.config import RouterConfig
from router.control.control import Control
from router.control.replicas import ReplicaControls
from router.fleet import Fleet
from router.keys import Role, RoleRing
from router.listener import Listener, bind, url_of
from router.members import Members
from router.metrics import Metrics
from router.poller import Poller, Probe
from router.proxy import Proxy
from router.wire.port import Port

_log = logging.getLogger("patchbay.router")
_LAST_WORDS_S = 1.0
_READY_S = 30.0
_LOOK_S = 0.05


class Router:
    """A router. Both ports are bound when this returns: raises StartError where one is taken.

    Build it within the event loop that runs it.
    """

    def __init__(self, config: RouterConfig) -> None:
        self._config = config
        public, admin = _bind_both(config)
        self.url, self.admin_url = url_of(public), url_of(admin)
        self.metrics = Metrics()
        self.fleet = Fleet(created=int(time.time()))
        self._members = Members(config, self.fleet, listed=self._listed)
        self.control = self._open_control(config)
        self.proxy = Proxy(config, self.fleet, self._members.links, self.metrics)
        self._public = Port(
            self.proxy,
            public,
            limit_bytes=config.max_body_bytes,
            head_timeout_s=config.head_timeout_s,
            shared=config.reuse_port,
        )
        parts = AdminParts(self.proxy, self.fleet, self.metrics, self.stop, _admin_keys(config), self.control)
        self._admin = Listener(build_admin(parts), admin)
        self._poller = Poller(config, self.fleet, self._probe, self.metrics)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self.up = asyncio.Event()
        self._watch()

    def stop(self) -> None:
        """Begins the end: no new work, and what is in flight may finish. The second call cuts that short."""
        if self._stop.is_set():
            self._hurry.set()
        self.proxy.draining = True
        self._stop.set()

    async def run(self) -> None:
        """Starts, serves until `stop`, drains, and ends with nothing left open."""
        async with AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
            await opened.enter_async_context(self._members)
            if self.control is not None:
                opened.callback(self.control.close)
                await self.control.follower.look()
            background = [tasks.create_task(self._poller.run()), tasks.create_task(self._members.run())]
            await self._poller.seen_all.wait()
            if self.control is not None:
                background.append(tasks.create_task(self.control.run()))
            if self._config.reuse_port:
                await self._until_ready()
            public = tasks.create_task(self._public.run_until_stopped())
            admin = tasks.create_task(self._admin.run_until_stopped())
            await asyncio.gather(self._public.up.wait(), self._admin.up.wait())
            self.up.set()
            _log.info("listening on %s, admin on %s", self.url, self.admin_url)
            await self._stop.wait()
            await self._drain(public)
            self._admin.stop()
            await asyncio.gather(public, admin)
            for task in background:
                task.cancel()

    async def _until_ready(self) -> None:
        """Waits until requests can be answered: while another router on the port can, none should come here."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_S):
                while not self.proxy.ready and not self._stop.is_set():  # noqa: ASYNC110 - readiness has many causes
                    await asyncio.sleep(_LOOK_S)

    async def _drain(self, public: asyncio.Task[None]) -> None:
        """Stops accepting, waits for what is in flight, and past the deadline tells the rest that it is over."""
        _log.info("draining: %d in flight", self.proxy.in_flight)
        self._public.stop()
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({public, hurry}, timeout=self._config.drain_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        self.proxy.interrupt()
        await asyncio.wait({public, hurry}, timeout=_LAST_WORDS_S)
        # Whoever does not read its answer even now is not waited for.
        self._public.stop(at_once=True)

    def _open_control(self, config: RouterConfig) -> Control | None:
        if config.registry is None:
            return None
        controls = ReplicaControls(self.fleet, self._members.links)
        return Control(config, config.registry, self.fleet, controls, self.metrics)

    def _listed(self) -> Sequence[ReplicaAddress]:
        return self.control.registry.replicas() if self.control is not None else ()

    def _probe(self, name: str) -> Probe:
        link = self._members.links[name]
        told = partial(self.fleet.put_status, name)
        own = partial(self.proxy.at_replica, name)
        return Probe(link.client, link.token, self._config.poll_timeout_s, told, own)

    def _watch(self) -> None:
        self.metrics.watch_in_flight(lambda: self.proxy.in_flight)
        self.metrics.watch_replicas(lambda state: sum(seen.state == state for seen in self.fleet.view.replicas))


async def serve(config: RouterConfig) -> None:
    """Runs a router until SIGTERM or SIGINT; a second one ends the draining. Raises StartError."""
    router = Router(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, router.stop)
    await router.run()


def _bind_both(config: RouterConfig) -> tuple[socket, socket]:
    public = bind(config.host, config.port, shared=config.reuse_port)
    try:
        return public, bind(config.admin_host, config.admin_port, shared=config.reuse_port)
    except StartError:
        public.close()
        raise


def _admin_keys(config: RouterConfig) -> RoleRing:
    tokens: list[tuple[str, Role, str]] = [
        (one.name, one.role, one.token.get_secret_value()) for one in config.admin_tokens
    ]
    if config.admin_token is not None:
        tokens.append(("admin", "admin", config.admin_token.get_secret_value()))
    return RoleRing(tokens)
