"""Configuration that all guards share: sides, action, dry run, and overrides for tenants."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from patchbay.core.settings import Settings

SideName = Literal["input", "output"]
ActionName = Literal["block", "redact", "mask", "flag", "route"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, Field(pattern=_NAME)]


class Override(Settings):
    """Overrides a guard for one tenant: another `action`, no guard at all (`off`), or reports only (`dry_run`)."""

    action: ActionName | None = None
    off: bool = False
    dry_run: bool | None = None


class GuardBase(Settings):
    """The keys that every guard has.

    `on`: the sides that it looks at; `action`: what happens to what it finds; `route`: the route that a request is sent
    to by the action `route`; `dry_run`: it finds, counts and reports, and does nothing; `tenants`: overrides for some
    tenants.
    """

    on: tuple[SideName, ...] = Field(default=("input", "output"), min_length=1)
    action: ActionName = "block"
    route: Name | None = None
    dry_run: bool = False
    tenants: dict[Name, Override] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_a_route(self) -> Self:
        if (self.action == "route") != (self.route is not None):
            raise ValueError("the action 'route' and a 'route' to go to belong together")
        if self.action == "route" and self.on != ("input",):
            raise ValueError("an answer that has begun goes nowhere else: the action 'route' is for `on: [input]`")
        if self.action == "mask" and self.on != ("input",):
            raise ValueError(
                "masks are put into prompts and taken out of answers: the action 'mask' is for `on: [input]`"
            )
        return self
