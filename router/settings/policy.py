"""The policy, which can change while the router runs: routes, tiers and prices from the configuration, keys from the
registry.

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
from patchbay.core.settings import Settings, load_yaml, parse_settings
from patchbay.core.tenancy import DEFAULT_TIER
from patchbay.core.thread_pools import Threads
from patchbay.guards.pipeline import Guards, compile_guards
from patchbay.registry.records import Access
from patchbay.router.routes.table import RouteTable, compile_table
from patchbay.router.settings.config import PolicyConfig, RouterConfig
from patchbay.router.settings.config_file import load_router_config
from patchbay.router.settings.protection import losses
from patchbay.router.tenants.clients import Clients, clients_of

# Reads the whole of a file, of which the policy is a part.
ReadPolicy = Callable[[Path], PolicyConfig]
# What a reload must not lose, and how a file says that there is none.
_PROTECTS: Mapping[str, str] = {"guards": "{}", "guard_all": "[]", "tiers": "{}", "routes": "{}", "prices": "{}"}
# A router's file need not name replicas: a flag may.
_ANY_REPLICA = "http://127.0.0.1:9"
_MOST_NAMED = 5
_log = logging.getLogger("patchbay.router")


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of it. `number`: how often it was read."""

    config: PolicyConfig
    table: RouteTable
    guards: Guards
    number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """Result of a reload. `changed`: what it has changed, by name; `restart`: keys that are others than at the start
    and need one; `warnings`: what in it means nothing here."""

    policy: Policy
    changed: tuple[str, ...]
    restart: tuple[str, ...]
    warnings: tuple[str, ...]


class PolicyHolder:
    """Holds the current `policy` and the `clients` under it. Reads the configuration when it is made: raises
    ConfigError. `access`: the registry's tenants and keys, as they are now, None before anybody can know; `must_show`:
    whether a key is asked for even where there is none yet; `read`: reads the file, the whole of it, as the start does;
    `told`: is given what a reload has changed, by name; `warned`: says what in a policy means nothing here."""

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
        self._read = read or read_router_file
        self._api_keys = tuple(key.get_secret_value() for key in config.api_keys)
        self._utc_now = utc_now
        self._must_show = must_show
        self._access = access
        self._seen = access()
        self._turn = asyncio.Lock()
        self._threads = Threads("reload", 1)
        self._cache = config.guard_cache or user_cache()
        own = PolicyConfig(**{name: getattr(config, name) for name in PolicyConfig.model_fields})
        self._said: Mapping[str, str] = {}
        self._at_start: PolicyConfig | None = None
        self.warned: Callable[[PolicyConfig], Sequence[str]] = _nothing
        self.policy = self._compiled(own)
        self._take_newer()
        self._known = self._clients()
        self.told: Callable[[Sequence[str]], Awaitable[None]] | None = None

    @property
    def clients(self) -> Clients:
        """Those of now."""
        self.look()
        return self._known

    def look(self) -> None:
        """Goes by the registry's tenants and keys as they are now."""
        access = self._access()
        if access is not self._seen:
            self._seen = access
            self._known = self._clients()

    @property
    def tenants_without_tier(self) -> int:
        """The number of tenants that are refused, since nobody knows their tier. From any thread."""
        return len(self._known.unknown_tiers)

    async def reload(self) -> Reloaded:
        """Reads the file anew. Raises ConfigError where any of it is wrong, and InvalidRequest where the router was
        started without one; then nothing has changed."""
        if self._file is None:
            raise InvalidRequest("This router was started without a configuration file, so there is nothing to read.")
        async with self._turn:
            try:
                whole, fresh = await self._threads.run(self._fresh, self._file)
            except ConfigError as error:
                _log.warning("the configuration was not read anew, all stays as it was: %s", error)
                raise
            changed = (*differences(self.policy.config, fresh.config), *accepted(self.policy.config, fresh.config))
            self.policy = replace(fresh, number=self.policy.number + 1)
            self._known = self._clients()
            restart = tuple(restart_keys(self._at_start, whole)) if self._at_start is not None else ()
            done = Reloaded(
                policy=self.policy, changed=changed, restart=restart, warnings=tuple(self.warned(fresh.config))
            )
            _tell(done)
            if self.told is not None and changed:
                await self.told(changed)
            return done

    def _fresh(self, file: Path) -> tuple[PolicyConfig, Policy]:
        """Reads the whole file. Returns its settings and its policy."""
        whole = self._read(file)
        config = policy_of(whole)
        check_kept(self.policy.config, config, source=str(file))
        check_tiers(self.policy.config, config, self._access(), source=str(file))
        return whole, self._compiled(config)

    def _take_newer(self) -> None:
        """A router that is started again by its supervisor has the file as it was then: it may have been read anew."""
        if self._file is None or not self._file.exists():
            return
        try:
            self._at_start, fresh = self._fresh(self._file)
            if fresh.config != self.policy.config:
                self.policy = fresh
        except ConfigError as error:
            _log.warning("the configuration as it was at the start is used: %s", error)

    @property
    def _folder(self) -> Path | None:
        return self._file.parent if self._file else None

    def _clients(self) -> Clients:
        made = clients_of(
            self._api_keys, self._seen, self.policy.config, must_show=self._must_show, utc_now=self._utc_now
        )
        if made.unknown_tiers != self._said:
            for words in tier_faults(made.unknown_tiers, self.policy.config):
                _log.error("%s", words)
        self._said = made.unknown_tiers
        return made

    def _compiled(self, config: PolicyConfig) -> Policy:
        return compiled_policy(config, self._cache, self._folder)


def compiled_policy(config: PolicyConfig, cache: Path, folder: Path | None) -> Policy:
    """Compiles the routes and guards of `config`. Raises ConfigError where any of them cannot be.

    `cache`: where compiled rules are kept; `folder`: that relative paths in it are relative to.
    """
    guards = compile_guards(config, [route.guards for route in config.routes.values()], cache, folder)
    return Policy(config, compile_table(config, folder), guards)


def user_cache() -> Path:
    """Returns the folder of a user's compiled rules."""
    return cache_dir() / "guards"


def read_router_file(file: Path, flags: Mapping[str, Any] | None = None) -> RouterConfig:
    """Reads a router's configuration, which is checked as a whole, with `flags` over it, as at the start.

    Where the flags are not known, the file need not name a replica. Raises ConfigError.
    """
    return load_router_config(file, flags or {}, [_ANY_REPLICA] if flags is None else ())


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
    """Lists what `now` protects less, since it says that it may: `routes.desk.guards loses 'pii'`."""
    return tuple(f"{one.place} {one.what}" for one in losses(before, now))


def check_tiers(before: PolicyConfig, now: PolicyConfig, access: Access | None, *, source: str) -> None:
    """Raises ConfigError where a tier has gone that tenants are of: nobody could say what limits them, so they would
    be refused."""
    gone: dict[str, list[str]] = {}
    for tenant in access.tenants if access is not None else ():
        if not tenant.disabled and before.knows_tier(tenant.tier) and not now.knows_tier(tenant.tier):
            gone.setdefault(tenant.tier, []).append(tenant.name)
    for tier, names in sorted(gone.items()):
        raise ConfigError(
            f"{source}: the tier '{tier}' has gone from it, and tenants are of it: {_some(names)}.",
            hint=f"Move them first: patchbay tenants set {names[0]} --tier TIER.",
        )


def tier_faults(unknown: Mapping[str, str], config: PolicyConfig) -> Iterator[str]:
    """Yields the log lines about tenants whose tier the configuration does not have, one a tier."""
    known = ", ".join(sorted({*config.tiers, DEFAULT_TIER}))
    for tier in sorted(set(unknown.values())):
        names = _some(sorted(name for name, its in unknown.items() if its == tier))
        yield (
            f"requests of {names} are refused: there is no tier '{tier}' under 'tiers' (there are: {known}); add it "
            "and reload, or 'patchbay tenants set NAME --tier TIER'"
        )


def _nothing(_config: PolicyConfig) -> Sequence[str]:
    return ()


def _tell(done: Reloaded) -> None:
    _log.info("the configuration was read anew: %s", ", ".join(done.changed) or "nothing has changed")
    if done.restart:
        _log.warning("these keys have changed in the file and need a restart: %s", ", ".join(done.restart))
    for words in done.warnings:
        _log.warning("%s", words)


def _some(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return f"{', '.join(names[:_MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"


def restart_keys(before: Settings, now: Settings, place: str = "") -> Iterator[str]:
    """The keys, but those of the policy, in which a file says something else than `before`: `router.port`."""
    for name in type(before).model_fields:
        if not place and name in PolicyConfig.model_fields:
            continue
        old, new = getattr(before, name), getattr(now, name)
        if isinstance(old, Settings) and type(old) is type(new):
            yield from restart_keys(old, new, f"{place}{name}.")
        elif old != new:
            yield f"{place}{name}"


def differences(before: PolicyConfig, now: PolicyConfig) -> tuple[str, ...]:
    """Lists what `now` adds, removes and changes, by name: `guards.pii removed`. Values are not told."""
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
    return parse_settings(PolicyConfig, known, source=str(file), file=file)
