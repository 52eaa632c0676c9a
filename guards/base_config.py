"""What the configuration of all guards has in common."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from patchbay.core.settings import Settings

SideName = Literal["input", "output"]
ActionName = Literal["block", "redact", "mask", "flag", "route"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, Field(pattern=_NAME)]


class Override(Settings):
    """What is otherwise for one tenant: another `action`, or none at all (`off`), or only looked at (`dry_run`)."""

    action: ActionName | None = None
    off: bool = False
    dry_run: bool | None = None


class GuardBase(Settings):
    """What all guards have. `on`: the sides that it looks at; `action`: what happens to what it finds; `route`: where a
    request goes then, for the action of that name; `dry_run`: finds, counts and tells, and does
    nothing; `tenants`: what is otherwise for some."""

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
