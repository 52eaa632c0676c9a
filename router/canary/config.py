"""How canaries are run: `canary` and `canaries` in the configuration."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from patchbay.core.secret import Secret
from patchbay.core.settings import Settings, parse_settings
from patchbay.router.canary.plan import PlanConfig, ready_plan, ready_plans


class DeclaredCanary(Settings):
    """A canary that the configuration asks for, once: what was tried already is not tried again. `revision`: its
    number; `plan`: a ready plan's name, or a plan."""

    revision: int = Field(ge=1)
    plan: PlanConfig = Field(default_factory=lambda: ready_plans()["careful"])

    @field_validator("plan", mode="before")
    @classmethod
    def _name_is_enough(cls, value: Any) -> Any:
        return ready_plan(value)


class CanaryConfig(Settings):
    """`metrics`: what canaries are judged by: the routers' own counts (`embedded`), or the same as a Prometheus
    server has scraped them. `prometheus_url`: that server, `prometheus_token`: a bearer token for it; `stale_s`: data
    that is older is none; three times the server's scrape interval is usual. `webhook`: where the end of each canary
    is posted to as JSON, with `webhook_token` as its bearer token; `incidents`: the folder that reports of ended
    canaries are written to, by default in the data directory; `kubernetes_events`: whether each end makes an Event,
    where the router runs in a cluster. `reserved_pools`: pools of replicas that get no requests but those of routes
    that name them and of their canary while that is under way."""

    metrics: Literal["embedded", "prometheus"] = "embedded"
    prometheus_url: str | None = Field(default=None, pattern=r"^https?://")
    prometheus_token: Secret | None = None
    stale_s: float = Field(default=60, gt=0)
    webhook: str | None = Field(default=None, pattern=r"^https?://")
    webhook_token: Secret | None = None
    incidents: Path | None = None
    kubernetes_events: bool = True
    reserved_pools: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if self.metrics == "prometheus" and self.prometheus_url is None:
            raise ValueError("canaries are judged by Prometheus, but 'prometheus_url' is not set")
        return self


def plan_of(told: dict[str, Any], canary: int) -> PlanConfig:
    """A plan as the registry has it. Raises ConfigError where this version cannot read it."""
    return parse_settings(PlanConfig, told, source=f"canary {canary}")
