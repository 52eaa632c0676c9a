"""Part of a pipeline: a guard as it is for one tenant."""

from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, dataclass

from patchbay.guards.base_config import GuardBase
from patchbay.guards.verdict import Action


@dataclass(frozen=True, slots=True)
class Part:
    """A guard with one tenant's overrides applied. `action`: always `flag` in a dry run; `dry_run`: it only reports;
    `overridden`: the action is not the guard's own."""

    name: str
    config: GuardBase
    action: Action
    _: KW_ONLY
    dry_run: bool
    overridden: bool = False

    @property
    def actions(self) -> AbstractSet[Action]:
        """All that it does: single rules and kinds may have actions of their own."""
        return {self.action} if self.overridden else self.config.own_actions


def part_of(name: str, guard: GuardBase, tenant: str) -> Part | None:
    """Returns the guard called `name` as it is for `tenant`; None where it is off for them."""
    override = guard.tenants.get(tenant)
    if override is not None and override.off:
        return None
    own = override.action if override is not None else None
    dry_run = override.dry_run if override is not None and override.dry_run is not None else guard.dry_run
    action = "flag" if dry_run else own or guard.action
    return Part(name, guard, action, dry_run=dry_run, overridden=dry_run or own is not None)
