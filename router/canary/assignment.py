"""Assignment of requests to the arms of a canary. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from patchbay.router.canary.plan import PlanConfig
from patchbay.router.routes.sampling import uniform

Arm = Literal["canary", "stable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryAssignment:
    """A canary as a router needs it, to assign requests.

    `id`: the canary's; `adapter`: the name that clients use, empty for a pool's canary; `revision`: the revision on
    trial, `sql@4`; `share`: its share of the callers, 0 to 1; `pool`: the pool on trial, None for an adapter's canary;
    `live`: whether it is still judged.
    """

    id: int
    adapter: str
    revision: str
    plan: PlanConfig
    share: float
    pool: str | None = None
    live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """The facts about a request that assignment looks at.

    `headers`: by name in lower case; `unit`: the bytes that stand for the caller, or for the request alone; `tier`: the
    tenant's; `text`: the user's last message.
    """

    route: str
    tenant: str
    unit: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    tier: str = ""
    text: str = ""


def arm_of(assignment: CanaryAssignment, asker: Asker) -> Arm | None:
    """Returns the arm that a request is in, None where it is outside the canary's scope.

    A caller who was in the canary at a small share is in it at every larger one.
    """
    if not is_tried_on(assignment, asker):
        return None
    return "canary" if uniform(f"canary {assignment.id}", asker.unit) < assignment.share else "stable"


def is_tried_on(assignment: CanaryAssignment, asker: Asker) -> bool:
    """Whether a request is within the canary's scope."""
    scope = assignment.plan.scope
    if scope.route not in (None, asker.route) or scope.tenant not in (None, asker.tenant):
        return False
    return all(asker.headers.get(name) == value for name, value in scope.header.items())


def slices_of(assignment: CanaryAssignment, asker: Asker, language_of: Callable[[str], str]) -> tuple[str, ...]:
    """Lists the slices of the canary's plan that a request is in, such as `tenant=acme`.

    `language_of`: returns the language of a text, empty where it cannot tell. Values are cut to 64 characters, since
    headers are the clients' own.
    """
    found: list[str] = []
    for facet in assignment.plan.slices:
        if facet == "language":
            value = language_of(asker.text) if asker.text else ""
        elif facet.startswith("header:"):
            value = asker.headers.get(facet.removeprefix("header:"), "")
        else:
            value = {"route": asker.route, "tenant": asker.tenant, "tier": asker.tier}[facet]
        if value:
            found.append(f"{facet}={value[:64]}")
    return tuple(found)
