"""The scenario of a load: who asks for what, how often, on which stack, and how good the answers must be."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from patchbay.core.errors import ConfigError
from patchbay.core.settings import Settings, load_yaml, parse_settings

FOLDER = Path(__file__).parent / "scenarios"

Share = Annotated[float, Field(ge=0, le=1)]


class Burst(Settings):
    """A repeated burst: every `every_s` seconds arrivals are `times` as frequent, for `for_s` seconds; the first after
    `every_s`."""

    every_s: float = Field(gt=0)
    for_s: float = Field(gt=0)
    times: float = Field(gt=0)

    @model_validator(mode="after")
    def _ends_before_the_next(self) -> Self:
        if self.for_s >= self.every_s:
            raise ValueError("for_s must be less than every_s")
        return self


class Arrivals(Settings):
    """The arrivals as a Poisson process: `per_second` requests a second on average, more in a burst."""

    per_second: float = Field(gt=0, le=10_000)
    burst: Burst | None = None


class Requests(Settings):
    """The mix of requests.

    `models`: from the most asked for to the least; without any, the stack's clones. The n-th gets a weight of
    1/n^`zipf`; 0: all alike. `streams`: the share of answers that are streamed; `cancels`: the share of streams whose
    client leaves, after one to `cancel_after` tokens. `tokens`: an answer's most, at least and at most. `to_the_end`:
    answers are exactly so long. `vote`: callers vote down a wrong answer.
    """

    models: tuple[str, ...] = ()
    zipf: float = Field(default=1.0, ge=0, le=5)
    streams: Share = 0.7
    cancels: Share = 0.0
    cancel_after: int = Field(default=8, ge=1)
    tokens: tuple[int, int] = (16, 64)
    to_the_end: bool = False
    vote: bool = False

    @model_validator(mode="after")
    def _tokens_are_a_range(self) -> Self:
        if not 1 <= self.tokens[0] <= self.tokens[1]:
            raise ValueError("tokens must be two numbers, the first at least 1 and at most the second")
        return self


class Limits(Settings):
    """The limits of a tenant; None: none."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    concurrent: int | None = Field(default=None, ge=1)


class Tenant(Settings):
    """A tenant that has a key of its own, and asks by itself."""

    arrivals: Arrivals
    limits: Limits = Limits()


class Stack(Settings):
    """The stack that is started where no address is given: the demo, with `replicas` replicas.

    `clones`: so many more adapters, each with weights of its own; with any, the demo's own are left out. `slots`,
    `in_memory`: adapters in the engine's slots and in host memory; None: sized by default.
    """

    replicas: int = Field(default=1, ge=1, le=16)
    clones: int = Field(default=0, ge=0, le=500)
    slots: int | None = Field(default=None, ge=1)
    in_memory: int | None = Field(default=None, ge=1)


class Canary(Settings):
    """A canary that begins `at_s` seconds into the run: a revision of `adapter` made from the demo's adapter `source`,
    by `plan`: a ready one's name, or a whole one. `ends`: the phase it must have reached at the end; None: any."""

    adapter: str
    source: str
    at_s: float = Field(default=3, ge=0)
    plan: str | dict[str, Any] = "fast"
    ends: str | None = None


class Slo(Settings):
    """The objectives that must hold; what is None is not asked for.

    `availability`: the least share of requests that get what they asked for, those refused by a limit counted as not;
    `error_share`: the most that fail; the others the most seconds at the 95th percentile, to the first token from when
    the request was due, and between tokens after it.
    """

    availability: Share | None = None
    error_share: Share | None = None
    ttft_p95_s: float | None = Field(default=None, gt=0)
    token_time_p95_s: float | None = Field(default=None, gt=0)


class Scenario(Settings):
    """One scenario of load.

    `warm_s`: the first seconds, which are asked in but not counted; `drain_s`: seconds after the last arrival, until
    which what is not answered has failed; `timeout_s`: the same for one request, from its sending.
    """

    name: str = "unnamed"
    says: str = ""
    seconds: float = Field(gt=0, le=86_400)
    warm_s: float = Field(default=0, ge=0)
    drain_s: float = Field(default=30, gt=0)
    timeout_s: float = Field(default=60, gt=0)
    seed: int = 1
    arrivals: Arrivals | None = None
    tenants: dict[str, Tenant] = Field(default_factory=dict)
    requests: Requests = Requests()
    stack: Stack = Stack()
    canary: Canary | None = None
    slo: Slo = Slo()

    @model_validator(mode="after")
    def _somebody_asks_for_something(self) -> Self:
        if (self.arrivals is None) == (not self.tenants):
            raise ValueError("give either arrivals, or tenants with arrivals of their own")
        if self.warm_s >= self.seconds:
            raise ValueError("warm_s must be less than seconds")
        if not self.requests.models and not self.stack.clones:
            raise ValueError("requests.models names no model, and stack.clones makes none")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are asked for, the most popular first."""
        return self.requests.models or tuple(f"zipf-{place:02d}" for place in range(self.stack.clones))


def ready_scenarios() -> dict[str, Path]:
    """The scenarios that are there, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def load_scenario(name: str) -> Scenario:
    """A ready scenario by its name, or the one in a YAML file.

    Raises ConfigError where there is none, or where it says what no scenario can.
    """
    path = ready_scenarios().get(name, Path(name))
    if name not in ready_scenarios() and path.suffix not in (".yaml", ".yml"):
        known = ", ".join(ready_scenarios())
        raise ConfigError(f"There is no scenario '{name}'.", hint=f"Ready: {known}; or give a .yaml file.")
    return parse_settings(Scenario, {"name": path.stem, **load_yaml(path)}, source=str(path), file=path)
