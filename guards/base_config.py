"""Configuration that all guards share: sides, action, dry run, and overrides for tenants."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from patchbay.core.setting_faults import Fault, placed_faults
from patchbay.core.settings import Settings

SideName = Literal["input", "output"]
ActionName = Literal["block", "redact", "mask", "flag", "route"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, Field(pattern=_NAME)]


class MaskConfig(Settings):
    """Configures masks. `stable`: how long one value has one mask, `request` or `session`: in all requests of one
    tenant that begin with the same message, as the turns of a conversation do, so that prefix caches work."""

    stable: Literal["request", "session"] = "request"


class Override(Settings):
    """Overrides a guard for one tenant: another `action`, no guard at all (`off`), or reports only (`dry_run`)."""

    action: ActionName | None = None
    off: bool = False
    dry_run: bool | None = None


class GuardBase(Settings):
    """The keys that every guard has.

    `on`: the sides that it looks at; `action`: what happens to what it finds; `route`: the route that a request is sent
    to by the action `route`; `dry_run`: it finds, counts and reports, and does nothing; `tenants`: overrides for some
    tenants. Of each kind: `sides`, those that it can look at; `actions`, those that it can do; `reason`, why no others.
    """

    sides: ClassVar[tuple[SideName, ...]] = ("input", "output")
    actions: ClassVar[tuple[ActionName, ...]] = ("block", "redact", "mask", "flag", "route")
    reason: ClassVar[str] = ""
    on: tuple[SideName, ...] = Field(default=("input", "output"), min_length=1)
    action: ActionName = "block"
    route: Name | None = None
    dry_run: bool = False
    tenants: dict[Name, Override] = Field(default_factory=dict)

    @property
    def own_actions(self) -> AbstractSet[ActionName]:
        """All that the guard does where no tenant has an action of its own: single rules and kinds may have others."""
        return {self.action}

    @property
    def actions_used(self) -> AbstractSet[ActionName]:
        """The actions that the guard does for anybody: its own, and those of tenants."""
        return {*self.own_actions, *(one.action for one in self.tenants.values() if one.action is not None)}

    def actions_for(self, tenant: str) -> AbstractSet[ActionName]:
        """Returns all that the guard does for a tenant: nothing where it is off, or only reports."""
        override = self.tenants.get(tenant, Override())
        if override.off or (self.dry_run if override.dry_run is None else override.dry_run):
            return frozenset()
        return self.own_actions if override.action is None else {override.action}

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if faults := list(self._idle()):
            raise placed_faults(faults)
        return self

    def _idle(self) -> Iterator[Fault]:
        """Yields what would do nothing: sides and actions that this kind of guard does not have, and actions that come
        too late on one of its sides."""
        if any(side not in self.sides for side in self.on):
            looks_at = "prompts" if self.sides == ("input",) else "answers"
            yield Fault(("on",), f"this kind of guard looks at {looks_at} alone: write `on: [{self.sides[0]}]`")
        yield from self._idle_action(("action",), self.action)
        for tenant, override in self.tenants.items():
            at = ("tenants", tenant)
            if override.action is not None:
                yield from self._idle_action((*at, "action"), override.action)
            if override == Override():
                yield Fault(at, "says nothing: give it an `action`, `off: true` or `dry_run`")
            elif override.off and override != Override(off=True):
                yield Fault(at, "a guard that is off does nothing else: leave out what is beside `off`")
        if self.route is not None and "route" not in self.actions_used:
            yield Fault(("route",), "nothing goes there: it needs the action 'route', here or for a tenant")

    def _idle_action(self, at: tuple[str, ...], action: ActionName) -> Iterator[Fault]:
        if action not in self.actions:
            yield Fault(at, f"{self.reason}: use {', '.join(self.actions[:-1])} or {self.actions[-1]}")
        elif action == "route" and self.route is None:
            yield Fault(at, "the action 'route' needs a `route` of the guard, where requests are sent to")
        elif action == "route" and self.on != ("input",):
            yield Fault(at, "an answer that has begun goes nowhere else: the action 'route' is for `on: [input]`")
        elif action == "mask" and self.on != ("input",):
            yield Fault(at, "masks are put into prompts and taken out of answers: 'mask' is for `on: [input]`")
