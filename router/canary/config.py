"""Configuration of canaries: the keys `canary` and `canaries`."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from patchbay.core.secret import Secret
from patchbay.core.settings import ConfigPath, Settings, parse_settings
from patchbay.router.canary.plan import PlanConfig, ready_plan, ready_plans


class DeclaredCanary(Settings):
    """A canary that the configuration declares. It runs once: a revision that was tried is not tried again. `revision`:
    its number; `plan`: the name of a ready plan, or a plan."""

    revision: int = Field(ge=1)
    plan: PlanConfig = Field(default_factory=lambda: ready_plans()["careful"])

    @field_validator("plan", mode="before")
    @classmethod
    def _name_is_enough(cls, value: Any) -> Any:
        return ready_plan(value)


class CanaryConfig(Settings):
    """Runs canaries. `metrics`: what judges them: the routers' own counts (`embedded`), or the same counts as a
    Prometheus server has scraped them; `prometheus_url`: that server; `prometheus_token`: a bearer token for it;
    `stale_s`: the age in seconds from which its data counts as none, usually three times the server's scrape interval;
    `webhook`: the URL that the end of each canary is posted to as JSON; `webhook_token`: its bearer token; `incidents`:
    the folder that reports of ended canaries are written to, by default `incidents` in the project directory;
    `kubernetes_events`: whether each end makes an Event, where the router runs in a cluster; `reserved_pools`: pools of
    replicas that get only the requests of routes that name them, and of their canary while it runs."""

    metrics: Literal["embedded", "prometheus"] = "embedded"
    prometheus_url: str | None = Field(default=None, pattern=r"^https?://")
    prometheus_token: Secret | None = None
    stale_s: float = Field(default=60, gt=0)
    webhook: str | None = Field(default=None, pattern=r"^https?://")
    webhook_token: Secret | None = None
    incidents: ConfigPath | None = None
    kubernetes_events: bool = True
    reserved_pools: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if self.metrics == "prometheus" and self.prometheus_url is None:
            raise ValueError("canaries are judged by Prometheus, but 'prometheus_url' is not set")
        return self


def plan_of(document: dict[str, Any], canary: int) -> PlanConfig:
    """Reads a plan from the registry's JSON. Raises ConfigError where this version cannot read it."""
    return parse_settings(PlanConfig, document, source=f"canary {canary}")
