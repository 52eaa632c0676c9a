"""A canary's plan: its steps, what is watched, and what counts as bad."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from adapters.settings import Settings

Undecided = Literal["hold", "promote", "roll_back"]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class StepConfig(Settings):
    """A share of the callers. `weight`: of all, in percent; `hold_s`: how long it lasts at least; `samples`: how many
    requests the canary answers in it at least; `gate`: whether somebody has to let it begin."""

    weight: float = Field(gt=0, le=50)
    hold_s: float = Field(default=60, ge=0)
    samples: int = Field(default=50, ge=1)
    gate: bool = False


class MetricConfig(Settings):
    """Something that is bad for a request or is not. `tolerated`: how many times as often it may happen to the canary's
    callers as to the others'; `most`: how often it may happen at all, 0 to 1, whatever happens to the others; `margin`:
    below how many times as often it has to be shown to be for a promotion."""

    tolerated: float = Field(default=1.0, ge=1)
    most: float | None = Field(default=None, gt=0, lt=1)
    margin: float = Field(default=2.0, gt=1)

    @model_validator(mode="after")
    def _can_pass(self) -> Self:
        if self.margin <= self.tolerated:
            raise ValueError("'margin' must be above 'tolerated': what is tolerated could not be promoted")
        return self


class PlanConfig(Settings):
    """`metrics`: what is watched, by name; `win_margin`: how far below a half the share of pairwise wins may be (0.05
    is usual), None where pairs are not judged; `alpha`: the probability, over the whole canary, that one that is no
    worse is rolled back; `promote_alpha`: that one that is worse by a margin is promoted; `max_s`: how long it lasts at
    most; `undecided`: what happens then; `scope`: the route that it is for, all without."""

    steps: tuple[StepConfig, ...] = Field(min_length=1)
    metrics: dict[MetricName, MetricConfig] = Field(min_length=1)
    win_margin: float | None = Field(default=None, gt=0, lt=0.5)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    promote_alpha: float = Field(default=0.05, gt=0, lt=0.5)
    max_s: float = Field(default=86_400, gt=0)
    undecided: Undecided = "hold"
    scope: str | None = None

    @model_validator(mode="after")
    def _grows(self) -> Self:
        weights = [step.weight for step in self.steps]
        if weights != sorted(set(weights)):
            raise ValueError("the weights of 'steps' must grow")
        return self

    @property
    def needed(self) -> float:
        """The evidence that each of its tests has to reach."""
        return self.tests / self.alpha

    @property
    def tests(self) -> int:
        """How many hypotheses alpha is split over."""
        absolute = sum(one.most is not None for one in self.metrics.values())
        return len(self.metrics) + absolute + (self.win_margin is not None)


def ready_plans() -> dict[str, PlanConfig]:
    """The plans that everybody has, by name."""
    errors = MetricConfig(tolerated=1.5, most=0.05, margin=2.5)
    slow = MetricConfig(tolerated=1.5, most=0.2, margin=2.5)
    metrics = {"errors": errors, "empty": errors, "guards": errors, "schema": errors, "ttft": slow, "token_time": slow}
    careful = (1.0, 5.0, 10.0, 25.0, 50.0)
    return {
        "careful": PlanConfig(
            steps=tuple(StepConfig(weight=weight, hold_s=300, samples=100) for weight in careful), metrics=metrics
        ),
        "fast": PlanConfig(
            steps=(StepConfig(weight=10, hold_s=30, samples=30), StepConfig(weight=50, hold_s=30, samples=60)),
            metrics=metrics,
            max_s=3600,
        ),
        "manual": PlanConfig(
            steps=tuple(StepConfig(weight=weight, hold_s=60, gate=True) for weight in (5.0, 25.0, 50.0)),
            metrics=metrics,
        ),
    }
