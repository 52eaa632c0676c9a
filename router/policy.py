"""What can change while the router runs: routes, tiers and prices from the configuration, keys from the registry.

Each change makes new immutable values, which are swapped whole; where any part is wrong, everything stays as it was.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from adapters.errors import ConfigError, InvalidRequest
from adapters.paths import cache_dir
from adapters.registry.records import Access
from adapters.settings import load_yaml, parse_settings
from router.config import PolicyConfig, RouterConfig
from router.guards.pipeline import Guards, compile_guards
from router.routes.book import Book, compile_book
from router.tenants.clients import Clients, clients_of

_log = logging.getLogger("patchbay.router")


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of it. `number`: how often it was read."""

    config: PolicyConfig
    book: Book
    guards: Guards
    number: int = 1


class PolicyHolder:
    """Holds the current `policy` and the `clients` under it. Reads the configuration when it is made: raises
    ConfigError. `access`: the registry's tenants and keys, as they are now, None before anybody can know; `must_show`:
    whether a key is asked for even where there is none yet."""

    def __init__(
        self,
        config: RouterConfig,
        access: Callable[[], Access | None],
        utc_now: Callable[[], datetime],
        *,
        must_show: bool,
    ) -> None:
        self._file = config.policy_file
        self._api_keys = tuple(key.get_secret_value() for key in config.api_keys)
        self._utc_now = utc_now
        self._must_show = must_show
        self._access = access
        self._seen = access()
        self._turn = asyncio.Lock()
        self._cache = config.guard_cache or user_cache()
        own = PolicyConfig(**{name: getattr(config, name) for name in PolicyConfig.model_fields})
        self.policy = self._compiled(own)
        self._take_newer()
        self._known = self._clients()

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
                fresh = await asyncio.to_thread(lambda file: self._compiled(policy_in(file)), self._file)
            except ConfigError as error:
                _log.warning("the configuration was not read anew, all stays as it was: %s", error)
                raise
            self.policy = replace(fresh, number=self.policy.number + 1)
            self._known = self._clients()
            _log.info("the configuration was read anew: %d routes", len(fresh.book.routes))
            return self.policy

    def _take_newer(self) -> None:
        """A router that is started again by its supervisor has the file as it was then: it may have been read anew."""
        if self._file is None or not self._file.exists():
            return
        try:
            config = policy_in(self._file)
            if config != self.policy.config:
                self.policy = self._compiled(config)
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
        return Policy(config, compile_book(config, self._folder), guards)


def user_cache() -> Path:
    """Where a user's compiled rules are kept."""
    return cache_dir() / "guards"


def policy_in(file: Path) -> PolicyConfig:
    """The part of a configuration file that is policy. Raises ConfigError."""
    data = load_yaml(file)
    known = {key: value for key, value in data.items() if key in PolicyConfig.model_fields}
    return parse_settings(PolicyConfig, known, source=str(file))
