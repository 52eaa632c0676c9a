"""Looks whether what the configuration names is there, at the start and with every reload."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from patchbay.router.control.control import Control
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.idle_settings import idle_settings
from patchbay.router.settings.policy import PolicyHolder
from patchbay.router.settings.unknown_names import known_names, unknown_names

_log = logging.getLogger("patchbay.router")
_LOOK_S = 1.0


class NameCheck:
    """One router's. `control`: where there is a registry; `declared`: adapters by the names that the configuration
    gives them."""

    def __init__(self, fleet: Fleet, control: Control | None, declared: Mapping[str, object]) -> None:
        self._fleet = fleet
        self._control = control
        self._declared = declared

    async def tell(self, policy: PolicyHolder) -> None:
        """Logs what nothing is called, once replicas have told what they serve."""
        while not self._all_told():  # noqa: ASYNC110 - replicas tell by themselves, each in its time
            await asyncio.sleep(_LOOK_S)
        for words in self._unknown(policy.policy.config):
            _log.warning("%s", words)

    def warnings(self, policy: PolicyConfig) -> Sequence[str]:
        """Lists the parts of `policy` that mean nothing here, as far as that is known now, in words."""
        return [*self.idle(policy), *self._unknown(policy)]

    def idle(self, policy: PolicyConfig) -> Sequence[str]:
        """Lists the parts of `policy` that never apply, since there is no registry."""
        return list(idle_settings(policy)) if self._control is None else []

    def _unknown(self, policy: PolicyConfig) -> Sequence[str]:
        table = self._fleet.view.table if self._all_told() else None
        if self._control is None:
            return list(unknown_names(policy, known_names(None, table, self._declared)))
        follower = self._control.follower
        if not follower.known:
            return []
        return list(unknown_names(policy, known_names(follower.snapshot, table, self._declared)))

    def _all_told(self) -> bool:
        replicas = self._fleet.view.replicas
        return bool(replicas) and self._fleet.settled and all(replica.catalog is not None for replica in replicas)
