"""What can change while the router runs: routes, tiers and prices from the configuration, keys from the registry.

Each change makes new immutable values, which are swapped whole; where any part is wrong, everything stays as it was.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from patchbay.core.errors import ConfigError, InvalidRequest
from patchbay.core.paths import cache_dir
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.core.thread_pools import Threads
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.registry.records import Access
from patchbay.router.config import PolicyConfig, RouterConfig
from patchbay.router.protection import losses
from patchbay.router.routes.table import RouteTable, compile_table
from patchbay.router.tenants.clients import Clients, clients_of

ReadPolicy = Callable[[Path], PolicyConfig]
# What a reload must not lose, and how a file says that there is none.
_PROTECTS: Mapping[str, str] = {"guards": "{}", "guard_all": "[]", "tiers": "{}", "routes": "{}", "prices": "{}"}
# A router's file need not name replicas: a flag may.
_ANY_REPLICA = "http://127.0.0.1:9"
_log = logging.getLogger("patchbay.router")


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of it. `number`: how often it was read."""

    config: PolicyConfig
    table: RouteTable
    guards: Guards
    number: int = 1


class PolicyHolder:
    """Holds the current `policy` and the `clients` under it. Reads the configuration when it is made: raises
    ConfigError. `access`: the registry's tenants and keys, as they are now, None before anybody can know; `must_show`:
    whether a key is asked for even where there is none yet; `read`: reads the file, the whole of it, as the start does;
    `told`: is given what a reload has changed, by name."""

    def __init__(
        self,
        config: RouterConfig,
        access: Callable[[], Access | None],
        utc_now: Callable[[], datetime],
        *,
        must_show: bool,
        read: ReadPolicy | None = None,
    ) -> None:
        self._file = config.policy_file
        self._read = read or policy_of_router
        self._api_keys = tuple(key.get_secret_value() for key in config.api_keys)
        self._utc_now = utc_now
        self._must_show = must_show
        self._access = access
        self._seen = access()
        self._turn = asyncio.Lock()
        self._threads = Threads("reload", 1)
        self._cache = config.guard_cache or user_cache()
        own = PolicyConfig(**{name: getattr(config, name) for name in PolicyConfig.model_fields})
        self.policy = self._compiled(own)
        self._take_newer()
        self._known = self._clients()
        self.told: Callable[[Sequence[str]], Awaitable[None]] | None = None

    @property
    def clients(self) -> Clients:
        """Those of now."""
        access = self._access()
        if access is not self._seen:
            self._seen = access
            self._known = self._clients()
        return self._known

    async def reload(self) -> Policy:
        """Reads the file anew. Raises ConfigError where any of it is wrong, and InvalidRequest where the router was
        started without one; then nothing has changed."""
        if self._file is None:
            raise InvalidRequest("This router was started without a configuration file, so there is nothing to read.")
        async with self._turn:
            try:
                fresh = await self._threads.run(self._fresh, self._file)
            except ConfigError as error:
                _log.warning("the configuration was not read anew, all stays as it was: %s", error)
                raise
            changed = (*differences(self.policy.config, fresh.config), *accepted(self.policy.config, fresh.config))
            self.policy = replace(fresh, number=self.policy.number + 1)
            self._known = self._clients()
            _log.info("the configuration was read anew: %s", ", ".join(changed) or "nothing has changed")
            if self.told is not None and changed:
                await self.told(changed)
            return self.policy

    def _fresh(self, file: Path) -> Policy:
        config = self._read(file)
        check_kept(self.policy.config, config, source=str(file))
        return self._compiled(config)

    def _take_newer(self) -> None:
        """A router that is started again by its supervisor has the file as it was then: it may have been read anew."""
        if self._file is None or not self._file.exists():
            return
        try:
            fresh = self._fresh(self._file)
            if fresh.config != self.policy.config:
                self.policy = fresh
        except ConfigError as error:
            _log.warning("the configuration as it was at the start is used: %s", error)

    @property
    def _folder(self) -> Path | None:
        return self._file.parent if self._file else None

    def _clients(self) -> Clients:
        return clients_of(
            self._api_keys, self._seen, self.policy.config, must_show=self._must_show, utc_now=self._utc_now
        )

    def _compiled(self, config: PolicyConfig) -> Policy:
        guards = compile_guards(config, [route.guards for route in config.routes.values()], self._cache, self._folder)
        return Policy(config, compile_table(config, self._folder), guards)


def user_cache() -> Path:
    """Where a user's compiled rules are kept."""
    return cache_dir() / "guards"


def policy_of_router(file: Path, flags: Mapping[str, Any] | None = None) -> PolicyConfig:
    """What is policy of a router's configuration, which is checked as a whole, with `flags` over it, as at the start.
    Raises ConfigError."""
    data = {"replicas": [_ANY_REPLICA], **load_yaml(file), **(flags or {})}
    return policy_of(parse_settings(RouterConfig, data, source=str(file)))


def policy_of(config: PolicyConfig) -> PolicyConfig:
    """The policy in a larger configuration. What stood in the file, and what did not, is still known of it."""
    given = {name: getattr(config, name) for name in PolicyConfig.model_fields if name in config.model_fields_set}
    return PolicyConfig(**given)


def check_kept(before: PolicyConfig, now: PolicyConfig, *, source: str) -> None:
    """Raises ConfigError where what protects has gone from the file without a word: a file that is half written, or
    whose key is misspelt, looks the same as one that means it."""
    for name, empty in _PROTECTS.items():
        if getattr(before, name) and name not in now.model_fields_set:
            raise ConfigError(
                f"{source}: there is no '{name}' in it, and there was before.",
                hint=f"Write '{name}: {empty}' to mean that there is none any more.",
            )
    lost = [one for one in losses(before, now) if one.place not in now.accept_weaker]
    if lost:
        places = ", ".join(dict.fromkeys(one.place for one in lost))
        raise ConfigError(
            f"{source}: less would be protected than before: {'; '.join(f'{one.place} {one.what}' for one in lost)}.",
            hint=f"Write 'accept_weaker: [{places}]' to mean it, and take that out again afterwards.",
        )


def accepted(before: PolicyConfig, now: PolicyConfig) -> tuple[str, ...]:
    """What `now` protects less, since it says that it may: `routes.desk.guards loses 'pii'`."""
    return tuple(f"{one.place} {one.what}" for one in losses(before, now))


def differences(before: PolicyConfig, now: PolicyConfig) -> tuple[str, ...]:
    """What `now` adds, removes and changes, by name: `guards.pii removed`. Values are not told."""
    return tuple(_differences(before, now))


def _differences(before: PolicyConfig, now: PolicyConfig) -> Iterator[str]:
    for name in PolicyConfig.model_fields:
        old, new = getattr(before, name), getattr(now, name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for key in sorted({*old, *new}):
                if old.get(key) != new.get(key):
                    yield f"{name}.{key} {'added' if key not in old else 'removed' if key not in new else 'changed'}"
        elif isinstance(old, tuple) and isinstance(new, tuple):
            yield from (f"{name}.{gone} removed" for gone in old if gone not in new)
            yield from (f"{name}.{one} added" for one in new if one not in old)
        elif old != new:
            yield f"{name} changed"


def policy_in(file: Path) -> PolicyConfig:
    """The part of a configuration file that is policy. Raises ConfigError."""
    data = load_yaml(file)
    known = {key: value for key, value in data.items() if key in PolicyConfig.model_fields}
    return parse_settings(PolicyConfig, known, source=str(file))
