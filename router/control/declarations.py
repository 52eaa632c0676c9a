"""Declared adapters: brings those of `adapters:` in the configuration into the registry.

A declaration takes effect when it is new or has changed: its bytes become a revision, and `stable` moves to it. From
then on the registry decides: promotions and rollbacks by people outlast restarts, until the declaration changes.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.config import DeclaredAdapter
from patchbay.adapters.digest import digest_of, folder_hashes
from patchbay.adapters.lifecycle import Lifecycle
from patchbay.adapters.publish import Publisher, PushRequest, refusal_of
from patchbay.adapters.sandbox.bounds import Stop
from patchbay.core.errors import PatchbayError
from patchbay.registry.records import AdapterSettings
from patchbay.router.control.context import Context
from patchbay.router.control.tasks import KeyedTasks

_log = logging.getLogger("patchbay.router")
_ACTOR = "patchbay.yaml"
_RETRY_S = 30.0
_BASE_WAIT_S = 1.0


class Declarations:
    """Applies declared adapters one after another, and keeps track of those that are left."""

    def __init__(
        self, context: Context, publisher: Publisher, declared: Mapping[str, DeclaredAdapter], tasks: KeyedTasks
    ) -> None:
        self._context = context
        self._publisher = publisher
        self._lifecycle = Lifecycle(context.registry)
        self._declared = declared
        self._tasks = tasks
        self._open = dict.fromkeys(declared, 0.0)
        self._failed = context.follower.refused
        self._failed.clear()

    @property
    def settled(self) -> bool:
        """Whether every declaration has been applied, or has failed and waits for another try."""
        return self._open.keys() <= self._failed.keys()

    def step(self, base: BaseLayout | None, *, base_known: bool) -> None:
        """Begins to apply a declaration that is due. One at a time, since they read the same disk and keep the file's
        order.

        `base`: the layout that they must fit, None for any; `base_known`: whether a replica has reported its base model
        yet.
        """
        if not base_known or self._tasks.running("declare"):
            return
        due = [name for name, at in self._open.items() if at <= self._context.clock()]
        if due:
            self._tasks.start("declare", self._apply(due[0], base))

    async def _apply(self, name: str, base: BaseLayout | None) -> None:
        stop = Stop()
        try:
            await self._context.threads.declared.run(self._bring_in, name, self._declared[name], base, stop)
        except PatchbayError as error:
            _log.error("the declared adapter '%s' cannot be used: %s", name, error)
            self._context.metrics.registry.refusal(refusal_of(error))
            self._failed[name] = str(error)
            self._open[name] = self._context.clock() + _RETRY_S
            await self._context.follower.look()
        except asyncio.CancelledError:
            stop.ask("this router no longer leads, or ends")
            raise
        else:
            self._failed.pop(name, None)
            # Looked at first: an adapter that is applied and not seen yet would count as settled while its name means
            # nothing here.
            await self._context.follower.look()
            self._open.pop(name)
        self._context.fleet.news.set()

    def _bring_in(self, name: str, declared: DeclaredAdapter, base: BaseLayout | None, stop: Stop) -> None:
        registry = self._context.registry
        settings = AdapterSettings(preload=declared.preload, pin=declared.pin)
        key = _key(declared, base)
        if registry.declared(name) == key:
            registry.set_settings(name, settings, actor=_ACTOR)
            return
        # Whoever may write the configuration may reach whatever this machine does.
        request = PushRequest(name, declared.source, settings=settings, authority="operator")
        pushed = self._publisher.push(request, actor=_ACTOR, base=base, stop=stop)
        registry.set_settings(name, settings, actor=_ACTOR)
        if registry.snapshot().adapters[name].number("stable") != pushed.revision.number:
            self._lifecycle.promote(pushed.revision.name, actor=_ACTOR, why=f"declared as {declared.source}")
        registry.set_declared(name, key)


def _key(declared: DeclaredAdapter, base: BaseLayout | None) -> str:
    """Returns a line that changes when the declaration, or the bytes in its folder, do.

    Bytes behind a URL may change unnoticed, so a URL should name a version.
    """
    folder = Path(declared.source)
    content = digest_of(folder_hashes(folder)) if folder.is_dir() else declared.source
    return f"{content} for {base.fingerprint if base else 'any base'}"
