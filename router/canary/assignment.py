"""A canary as a router needs it: whose requests it gets. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from patchbay.router.canary.plan import PlanConfig
from patchbay.router.routes.sampling import uniform

Arm = Literal["canary", "stable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryAssignment:
    """`id`: the canary's; `adapter`: the name that clients use, empty for a pool's; `revision`: what is tried, `sql@4`;
    `share`: of the callers, 0 to 1; `pool`: the one that is tried; `live`: whether it is still being judged."""

    id: int
    adapter: str
    revision: str
    plan: PlanConfig
    share: float
    pool: str | None = None
    live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, and how. `headers`: names in lower case; `unit`: what stands for the caller, or for the request;
    `tier`: the tenant's; `text`: what the user says last."""

    route: str
    tenant: str
    unit: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    tier: str = ""
    text: str = ""


def arm_of(assignment: CanaryAssignment, asker: Asker) -> Arm | None:
    """The arm that a request is in, None where the canary is not for it.

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
    """The slices of the canary's plan that a request is in, as `tenant=acme`."""
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
