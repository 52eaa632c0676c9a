"""The plan of a canary: its steps, the metrics that are watched, and the limits of each."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from patchbay.core.nearest import nearest
from patchbay.core.settings import Settings

Undecided = Literal["hold", "promote", "roll_back"]
Unit = Literal["auto", "caller", "request"]
Facet = Annotated[str, Field(pattern=r"^(route|tenant|tier|language|header:[a-z0-9-]{1,64})$")]
_DAY_S = 86_400
_MOST_WEIGHT = 50
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
# Everything that a router counts about a request; docs/canary.md describes each.
METRICS = ("errors", "empty", "guards", "schema", "refusals", "votes", "ttft", "token_time", "cost")
MetricName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(METRICS)})]


class StepConfig(Settings):
    """A share of the callers. `weight`: that share in percent, at most 50, since the comparison needs the rest, and
    everybody gets the revision by its promotion; `hold_s`: the least time that the step lasts, in seconds; `samples`:
    the least number of requests that the canary answers in it; `gate`: whether somebody has to let it begin."""

    weight: float = Field(gt=0, le=_MOST_WEIGHT)
    hold_s: float = Field(default=60, ge=0)
    samples: int = Field(default=50, ge=1)
    gate: bool = False

    @field_validator("weight", mode="before")
    @classmethod
    def _leaves_others(cls, value: Any) -> Any:
        if isinstance(value, int | float) and value > _MOST_WEIGHT:
            raise ValueError(
                f"{value:g} is more than {_MOST_WEIGHT}: at least half of the callers keep the stable revision for the "
                "comparison, and everybody gets the new one by its promotion, which follows the last step"
            )
        return value


class MetricConfig(Settings):
    """Limits of something that is bad for a request. `tolerated`: how many times as often it may happen to the canary's
    callers as to the others; `most`: the highest rate, 0 to 1, that it may have at all, where it is also higher than
    the others', since what hits all alike is no fault of the canary; `margin`: the ratio to the others' rate that it
    must be shown to stay below for a promotion; `few`: the rate, 0 to 1, below which it does no harm, which allows a
    promotion too as long as it is not shown to be worse than the others', by default a tenth of `most`; `cut`: whether
    the canary's unfinished answers are cut when this metric rolls it back."""

    tolerated: float = Field(default=1.0, ge=1)
    most: float | None = Field(default=None, gt=0, lt=1)
    margin: float = Field(default=2.0, gt=1)
    few: float | None = Field(default=None, gt=0, lt=1)
    cut: bool = False

    @property
    def harmless(self) -> float | None:
        """The rate below which it does no harm, None where there is no such rate."""
        if self.few is not None:
            return self.few
        return None if self.most is None else self.most / 10

    @model_validator(mode="after")
    def _can_pass(self) -> Self:
        if self.margin <= self.tolerated:
            raise ValueError("'margin' must be above 'tolerated', or a canary that is tolerated could not be promoted")
        return self


def _window(value: str) -> str:
    if not _WINDOW.fullmatch(value):
        raise ValueError(f"'{value}' is not a time window: write it as 22:00-06:00, in UTC")
    return value


Window = Annotated[str, AfterValidator(_window)]


class ScopeConfig(Settings):
    """Limits a canary to some requests; without any key it is for all. `route`: requests by that route, or the
    adapter's name for requests that name it themselves; `tenant`: requests of that tenant; `header`: requests with
    these headers, by name in any case."""

    route: str | None = None
    tenant: str | None = None
    header: dict[str, str] = Field(default_factory=dict)

    @field_validator("header")
    @classmethod
    def _in_lower_case(cls, value: dict[str, str]) -> dict[str, str]:
        lower = {name.lower(): wanted for name, wanted in value.items()}
        if len(lower) < len(value):
            raise ValueError("a header is named twice: upper and lower case are the same")
        return lower


class ShadowStep(Settings):
    """Has the canary answer copies before its first step. `share`: the part of the stable revision's requests, 0 to 1,
    that is copied when there is room; `samples`: how many copies the canary answers. Only `most` is judged by them."""

    share: float = Field(default=0.2, gt=0, le=1)
    samples: int = Field(default=50, ge=1)


class PlanConfig(Settings):
    """Describes how a canary grows and what judges it. `metrics`: the watched metrics, by name; `win_margin`: how far
    below a half the share of pairwise wins may be (0.05 is usual), none where pairs are not judged; `alpha`: the
    probability, over the whole canary, that one that is no worse is rolled back; `promote_alpha`: the probability that
    one that is worse by a margin is promoted; `max_s`: the longest time that it lasts, in seconds, without the time
    that it is paused; `undecided`: what happens then, though it passes neither a closed gate nor a blackout; `scope`:
    the requests that it is for; `unit`: what is assigned, and so counts once: a `caller`, whose requests stay in one
    arm, each `request`, or callers as long as enough of them are seen, and requests otherwise (`auto`); `slices`:
    groups of requests whose evidence is kept apart too, so that what is bad for a few is found: `route`, `tenant`,
    `tier`, `language`, `header:NAME`; half of alpha is theirs; `shadow`: has it answer copies of requests first, which
    nobody sees; `breaker`: how many different callers in a row must fail on the canary, while others' requests do not,
    for it to end at once; `blackout`: windows of time in which it neither grows nor is promoted; `settle_s`: the
    longest time, in seconds, that an outcome waits for those of earlier requests, since outcomes count in the order in
    which requests came."""

    steps: tuple[StepConfig, ...] = Field(min_length=1)
    metrics: dict[MetricName, MetricConfig] = Field(min_length=1)
    win_margin: float | None = Field(default=None, gt=0, lt=0.5)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    promote_alpha: float = Field(default=0.05, gt=0, lt=0.5)
    max_s: float = Field(default=86_400, gt=0)
    undecided: Undecided = "hold"
    scope: ScopeConfig = ScopeConfig()
    unit: Unit = "auto"
    slices: tuple[Facet, ...] = ()
    shadow: ShadowStep | None = None
    breaker: int = Field(default=5, ge=2)
    blackout: tuple[Window, ...] = ()
    settle_s: float = Field(default=10, ge=0)

    @field_validator("scope", mode="before")
    @classmethod
    def _route_is_enough(cls, value: Any) -> Any:
        return {"route": value} if isinstance(value, str) else value

    @field_validator("metrics")
    @classmethod
    def _can_be_counted(cls, value: dict[str, MetricConfig]) -> dict[str, MetricConfig]:
        for name in value:
            if name not in METRICS:
                near = nearest(name, METRICS)
                known = f"did you mean '{near}'?" if near is not None else f"there are: {', '.join(METRICS)}"
                raise ValueError(f"there is no metric '{name[:64]}' ({known})")
        return value

    @model_validator(mode="after")
    def _grows(self) -> Self:
        weights = [step.weight for step in self.steps]
        if weights != sorted(set(weights)):
            raise ValueError("the weights of 'steps' must grow")
        return self

    def is_blacked_out(self, now_s: float) -> bool:
        """Whether it must not grow at `now_s`, Unix time."""
        return any(_holds(window, now_s % _DAY_S) for window in self.blackout)

    @property
    def needed(self) -> float:
        """The evidence that each of its tests has to reach."""
        return self.tests / (self.alpha / 2 if self.slices else self.alpha)

    @property
    def tests(self) -> int:
        """The number of hypotheses that alpha is split over."""
        absolute = sum(metric.most is not None for metric in self.metrics.values())
        return len(self.metrics) + absolute + (self.win_margin is not None)


def _holds(window: str, second: float) -> bool:
    first_hour, first_minute, last_hour, last_minute = (int(part) for part in re.findall(r"\d\d", window))
    begin, end = first_hour * 3600 + first_minute * 60, last_hour * 3600 + last_minute * 60
    return begin <= second < end if begin <= end else second >= begin or second < end


def ready_plan(value: Any) -> Any:
    """Returns `value`, or the ready plan of that name. Raises ValueError, for a model's validator, where there is
    none."""
    if not isinstance(value, str):
        return value
    plans = ready_plans()
    if value not in plans:
        raise ValueError(f"there is no plan '{value[:64]}' (ready: {', '.join(plans)})")
    return plans[value]


def ready_plans() -> dict[str, PlanConfig]:
    """Returns the plans that everybody has, by name."""
    errors = MetricConfig(tolerated=1.5, most=0.05, margin=2.5, few=0.0025)
    slow = MetricConfig(tolerated=1.5, most=0.2, margin=2.5)
    unsafe = errors.model_copy(update={"cut": True})
    refusals = MetricConfig(tolerated=1.5, margin=2.5, few=0.0025)
    metrics = {
        **dict.fromkeys(("errors", "empty", "schema"), errors),
        **dict.fromkeys(("refusals", "votes"), refusals),
        **dict.fromkeys(("ttft", "token_time", "cost"), slow),
        "guards": unsafe,
    }
    careful = (1.0, 5.0, 10.0, 25.0, 50.0)
    return {
        "careful": PlanConfig(
            steps=tuple(StepConfig(weight=weight, hold_s=300, samples=100) for weight in careful), metrics=metrics
        ),
        "fast": PlanConfig(
            steps=(StepConfig(weight=10, hold_s=30, samples=30), StepConfig(weight=50, hold_s=30, samples=60)),
            metrics={name: _sooner(metric) for name, metric in metrics.items()},
            max_s=3600,
        ),
        "shadow-first": PlanConfig(
            steps=tuple(StepConfig(weight=weight, hold_s=120, samples=60) for weight in (5.0, 25.0, 50.0)),
            metrics=metrics,
            shadow=ShadowStep(),
        ),
        "manual": PlanConfig(
            steps=tuple(StepConfig(weight=weight, hold_s=60, gate=True) for weight in (5.0, 25.0, 50.0)),
            metrics=metrics,
        ),
    }


def _sooner(metric: MetricConfig) -> MetricConfig:
    """Returns a metric of which twice as much does no harm, so that half the requests show that it does none."""
    return metric if metric.few is None else metric.model_copy(update={"few": 2 * metric.few})
