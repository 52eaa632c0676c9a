"""The space that a sweep searches: which keys of a recipe take which values."""

from collections.abc import Mapping
from math import prod
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from patchbay.core.errors import ConfigError
from patchbay.core.settings import Settings, parse_settings
from patchbay.tuning.training.recipe import TrainingRecipe

SECTIONS = ("adapter", "schedule", "loss", "data", "watch")


class KeyRange(Settings):
    """The values of one key: some to choose from, or a range. `log`: whether it is searched by its logarithm; `whole`:
    whether numbers are whole."""

    choose: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        ranged = self.low is not None and self.high is not None
        if ranged == bool(self.choose):
            raise ValueError("give either choose or low and high")
        if ranged and not (self.low or 0.0) < (self.high or 0.0):
            raise ValueError("low must be below high")
        return self


class SweepSpace(Settings):
    """A sweep. `trials`: how many runs; `sampler`: tpe (Bergstra et al., NeurIPS 2011), random or grid; `steps`: of a
    trial, the recipe's by default; `space`: by key, such as `adapter.rank`; `prune`: whether a trial that is worse
    than the median of those before ends early."""

    trials: int = Field(default=12, ge=1, le=10_000)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    steps: int | None = Field(default=None, ge=1)
    prune: bool = True
    space: dict[str, KeyRange]

    @field_validator("space")
    @classmethod
    def _keys_of_a_recipe(cls, space: dict[str, KeyRange]) -> dict[str, KeyRange]:
        if not space:
            raise ValueError("name at least one key of a recipe, such as adapter.rank")
        for key in space:
            section, _, name = key.partition(".")
            fields = TrainingRecipe.model_fields.get(section) if section in SECTIONS else None
            known = getattr(fields.annotation, "model_fields", {}) if fields else {}
            if name not in known:
                raise ValueError(f"'{key}' is no key of a recipe's {', '.join(SECTIONS)}")
        return space

    @model_validator(mode="after")
    def _grid_of_choices(self) -> Self:
        if self.sampler == "grid" and not all(one.choose for one in self.space.values()):
            raise ValueError("a grid has choose alone")
        return self

    @property
    def runs(self) -> int:
        """The number of runs: of a grid, at most one for each of its points."""
        if self.sampler != "grid":
            return self.trials
        return min(self.trials, prod(len(one.choose) for one in self.space.values()))


def with_values(recipe: TrainingRecipe, values: Mapping[str, Any]) -> TrainingRecipe:
    """Returns `recipe` with the values of some keys, checked as if they stood in its file. Raises ConfigError."""
    document = recipe.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        document[section] = {**document[section], name: value}
    try:
        return parse_settings(TrainingRecipe, document, source="the recipe with the values of a trial")
    except ConfigError as error:
        raise ConfigError(f"{error.message}", hint=f"The space gave {dict(values)}.") from error
