"""A canary's plan: its steps, what is watched, and what counts as bad."""

import difflib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from patchbay.core.settings import Settings

Undecided = Literal["hold", "promote", "roll_back"]
Unit = Literal["auto", "caller", "request"]
Facet = Annotated[str, Field(pattern=r"^(route|tenant|tier|language|header:[a-z0-9-]{1,64})$")]
_DAY_S = 86_400
_MOST_WEIGHT = 50
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
# All that a router counts of a request: docs/canary.md says what each is.
METRICS = ("errors", "empty", "guards", "schema", "refusals", "votes", "ttft", "token_time", "cost")
MetricName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(METRICS)})]


class StepConfig(Settings):
    """A share of the callers. `weight`: of all, in percent, 50 at most: what it is compared with needs the rest, and
    everybody gets it by its promotion; `hold_s`: how long it lasts at least; `samples`: how many
    requests the canary answers in it at least; `gate`: whether somebody has to let it begin."""

    weight: float = Field(gt=0, le=_MOST_WEIGHT)
    hold_s: float = Field(default=60, ge=0)
    samples: int = Field(default=50, ge=1)
    gate: bool = False

    @field_validator("weight", mode="before")
    @classmethod
    def _leaves_others(cls, value: Any) -> Any:
        if isinstance(value, int | float) and value > _MOST_WEIGHT:
            raise ValueError(
                f"{value:g} is more than {_MOST_WEIGHT}: half of the callers stay with what it is compared with, and "
                "everybody gets it by its promotion, which follows the last step"
            )
        return value


class MetricConfig(Settings):
    """Something that is bad for a request or is not. `tolerated`: how many times as often it may happen to the canary's
    callers as to the others'; `most`: how often it may happen at all, 0 to 1, where it happens more often than to the
    others: what hits all alike is no fault of the canary; `margin`:
    below how many times as often it has to be shown to be for a promotion, or else below `few`, 0 to 1, at all, by
    default a tenth of `most`, as long as it is not shown to be more often than to the others; `cut`: whether its
    unfinished answers are cut when it is rolled back by this."""

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
            raise ValueError("'margin' must be above 'tolerated': what is tolerated could not be promoted")
        return self


def _window(value: str) -> str:
    if not _WINDOW.fullmatch(value):
        raise ValueError(f"'{value}' is no window: write it as 22:00-06:00, in UTC")
    return value


Window = Annotated[str, AfterValidator(_window)]


class ScopeConfig(Settings):
    """Whose requests are tried on, all where nothing is said. `route`: by that route, or the adapter's name for
    requests that name it themselves; `tenant`: of that tenant; `header`: with these headers, their names in any
    case."""

    route: str | None = None
    tenant: str | None = None
    header: dict[str, str] = Field(default_factory=dict)

    @field_validator("header")
    @classmethod
    def _in_lower_case(cls, value: dict[str, str]) -> dict[str, str]:
        lower = {name.lower(): wanted for name, wanted in value.items()}
        if len(lower) < len(value):
            raise ValueError("a header is named twice: case makes no difference")
        return lower


class ShadowStep(Settings):
    """Before its first step a canary answers copies of a `share` of the stable revision's requests, when there is room,
    until it has answered `samples` of them. What `most` allows is judged by them, and nothing else."""

    share: float = Field(default=0.2, gt=0, le=1)
    samples: int = Field(default=50, ge=1)


class PlanConfig(Settings):
    """`metrics`: what is watched, by name; `win_margin`: how far below a half the share of pairwise wins may be (0.05
    is usual), None where pairs are not judged; `alpha`: the probability, over the whole canary, that one that is no
    worse is rolled back; `promote_alpha`: that one that is worse by a margin is promoted; `max_s`: how long it lasts at
    most, but for the time that it is paused; `undecided`: what happens then, but that neither a closed gate nor a
    blackout is passed by it; `scope`: whose requests; `unit`: what is assigned, and so counts once: a `caller`, whose
    requests stay in one arm, each `request`, or, by what is seen, callers as long as there are enough (`auto`);
    `slices`: by what else evidence is kept apart, so that
    what is bad for a few is found: `route`, `tenant`, `tier`, `language`, `header:NAME`; half of alpha is theirs;
    `shadow`: it gets copies of requests first, which nobody sees; `breaker`: so many different callers in a row
    at least whose requests fail on the canary, while others' do not, end it at once; `blackout`: when it neither grows
    nor is promoted; `settle_s`: outcomes count in the order in which requests came, but none waits longer for one that
    came before it."""

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
                near = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.5)
                known = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(METRICS)}"
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
        """How many hypotheses alpha is split over."""
        absolute = sum(one.most is not None for one in self.metrics.values())
        return len(self.metrics) + absolute + (self.win_margin is not None)


def _holds(window: str, second: float) -> bool:
    first_hour, first_minute, last_hour, last_minute = (int(part) for part in re.findall(r"\d\d", window))
    begin, end = first_hour * 3600 + first_minute * 60, last_hour * 3600 + last_minute * 60
    return begin <= second < end if begin <= end else second >= begin or second < end


def ready_plan(value: Any) -> Any:
    """`value`, or the ready plan of that name. Raises ValueError, for a model's validator, for a name of none."""
    if not isinstance(value, str):
        return value
    plans = ready_plans()
    if value not in plans:
        raise ValueError(f"there is no plan '{value[:64]}' (ready: {', '.join(plans)})")
    return plans[value]


def ready_plans() -> dict[str, PlanConfig]:
    """The plans that everybody has, by name."""
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
    """A metric of which twice as much does no harm, so that half the requests show that it does none."""
    return metric if metric.few is None else metric.model_copy(update={"few": 2 * metric.few})
