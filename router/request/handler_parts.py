"""The parts of the router that answering a request needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from patchbay.registry.records import AdapterView
from patchbay.router.admission.admission import Admission
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.responses.kept_responses import KeptResponses
from patchbay.router.settings.config import RouterConfig
from patchbay.router.settings.policy import PolicyHolder
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.tenants.limiter import Limiter
from patchbay.router.tenants.usage import TenantUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerParts:
    """The parts that answering needs. `usage`, `kept`, `adapters`: where there is a registry to write to, and what it
    has."""

    config: RouterConfig
    fleet: Fleet
    policy: PolicyHolder
    limiter: Limiter
    admission: Admission
    metrics: Metrics
    usage: TenantUsage | None
    clock: Callable[[], float]
    guard_key: bytes
    live_canaries: LiveCanaries
    kept: KeptResponses | None = None
    adapters: Callable[[], Mapping[str, AdapterView]] = dict
