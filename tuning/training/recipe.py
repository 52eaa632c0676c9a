"""The recipe of a training run: everything that changes its result, as `patchbay tune run` reads it from YAML."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from patchbay.core.names import NAME_PATTERN
from patchbay.core.settings import ConfigPath, PathOrUrl, Settings, load_yaml, parse_settings
from patchbay.tuning.training.methods import METHODS, REFUSED_KINDS, REFUSED_METHODS, AdapterKind, MethodName

Shape = Literal["constant", "linear", "cosine"]
ALL_LINEAR = "all-linear"


def _refuse(value: Any, refused: Any) -> Any:
    if isinstance(value, str) and value.lower() in refused:
        raise ValueError(f"'{value}' is not done here. {refused[value.lower()]}")
    return value


def _method(value: Any) -> Any:
    return _refuse(value, REFUSED_METHODS)


def _kind(value: Any) -> Any:
    return _refuse(value, REFUSED_KINDS)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Files = Annotated[tuple[PathOrUrl, ...], BeforeValidator(_listed)]


class DataSection(Settings):
    """The rows. Each of `train`, `validation` and `general` is a JSONL file, `NAME@N` of a data set, or several.

    `general`: chats on which the model must not get worse (forgetting). `max_length`: tokens of prompt and answer
    together. `too_long`: what is done with longer rows: the run is refused, they are left out, or they are cut at their
    end; they are listed each time. `share`: in place of a validation file, this share of the training rows is held out.
    `weights`: of each training file, the mixture: 0.5 takes half of its rows, 2 takes each twice.
    """

    train: _Files
    validation: _Files = ()
    general: _Files = ()
    share: float = Field(default=0.0, ge=0.0, lt=0.5)
    weights: tuple[Annotated[float, Field(ge=0, le=100)], ...] = ()
    max_length: int = Field(default=1024, ge=16, le=131_072)
    too_long: Literal["refuse", "drop", "cut"] = "refuse"

    @model_validator(mode="after")
    def _one_validation(self) -> Self:
        if not self.train:
            raise ValueError("name at least one file of training rows")
        if self.validation and self.share:
            raise ValueError("give either validation or share")
        if self.weights and (len(self.weights) != len(self.train) or not any(self.weights)):
            raise ValueError("weights has one number for each training file, not all of them 0")
        return self


class AdapterSection(Settings):
    """The adapter. `kind`: lora; rslora (scaled by alpha over the root of the rank: Kalajdzievski, arXiv 2312.03732);
    dora (Liu et al., arXiv 2402.09353), which is merged for serving; qlora, over a quantized base.

    `alpha`: twice the rank where it is not given. `targets`: names of modules, or all-linear; `layers`: the numbers of
    the blocks that learn, from 0, all where none is named.
    """

    kind: Annotated[AdapterKind, BeforeValidator(_kind)] = "lora"
    rank: int = Field(default=16, ge=1, le=512)
    alpha: float | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: Annotated[tuple[str, ...], BeforeValidator(_listed)] = (ALL_LINEAR,)
    layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    rank_pattern: dict[str, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _layers_of_named_modules(self) -> Self:
        if self.layers and self.targets == (ALL_LINEAR,):
            raise ValueError("with layers, name the modules: targets: [q_proj, v_proj]")
        return self

    @property
    def scale_alpha(self) -> float:
        """The alpha that PEFT gets."""
        return self.alpha if self.alpha is not None else 2.0 * self.rank


class LossSection(Settings):
    """The loss. `on`: for sft, the answers of a chat, only its last answer, or all tokens. `beta`: how near the model
    is kept to the base (dpo, kto), or the weight of the odds ratio (orpo). `desirable`, `undesirable`: weights of
    kto's votes."""

    on: Literal["answers", "last", "all"] = "answers"
    beta: float = Field(default=0.1, gt=0)
    desirable: float = Field(default=1.0, gt=0)
    undesirable: float = Field(default=1.0, gt=0)


class ScheduleSection(Settings):
    """The steps. `epochs`, or `steps` in their place; `batch`: rows of a step on one device; `accumulation`: batches
    whose gradients are summed before the weights move; `order`: of rows, random, as given (a curriculum), or in batches
    of about one length; `rate`: the peak learning rate, by default the method's;
    `warmup`: steps, or a share of all where it is below 1; `clip`: the most of a gradient's norm; `packing`: whether
    short chats share one sequence."""

    epochs: float = Field(default=1.0, gt=0, le=1000)
    steps: int | None = Field(default=None, ge=1)
    batch: int = Field(default=4, ge=1, le=4096)
    accumulation: int = Field(default=1, ge=1, le=4096)
    rate: float | None = Field(default=None, gt=0, lt=1)
    shape: Shape = "cosine"
    warmup: float = Field(default=0.03, ge=0)
    clip: float = Field(default=1.0, gt=0)
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    packing: bool = False
    order: Literal["random", "given", "by_length"] = "random"


class ComputeSection(Settings):
    """The machine's part. `precision`: of sums (bf16: bfloat16 autocast); `gradient_checkpointing`: activations are
    computed again in place of kept, a third more time for a fraction of the memory; `threads`: of a CPU, all by
    default; `loader`: the data loader's processes."""

    precision: Literal["bf16", "float32"] = "bf16"
    gradient_checkpointing: bool = False
    threads: int | None = Field(default=None, ge=1, le=1024)
    loader: int = Field(default=0, ge=0, le=64)


class WatchSection(Settings):
    """The watch on a run. `every`: steps between two evaluations, a tenth of the run by default;
    `patience`: evaluations without a better one, after which the run ends; `divergence`: the factor over its best
    by which the smoothed loss may rise; `forgetting`: nats by which the loss on `general` may rise over the base's;
    `then`: whether overfitting and forgetting end the run or are told alone. Divergence always ends it."""

    every: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)
    divergence: float = Field(default=2.0, gt=1.0)
    overfitting: float = Field(default=0.1, gt=0)
    forgetting: float = Field(default=0.2, gt=0)
    then: Literal["tell", "end"] = "tell"


class CheckpointSection(Settings):
    """Checkpoints. `every`: steps, by default each evaluation; it must divide the steps between evaluations; `keep`:
    how many, beside the best one."""

    every: int | None = Field(default=None, ge=1)
    keep: int = Field(default=2, ge=2, le=100)


class CardSection(Settings):
    """The makers' own words in the model card, beside what is measured."""

    owner: str | None = None
    licence: str | None = None
    purpose: str | None = None
    limits: str | None = None
    tags: tuple[str, ...] = ()


class TrainingRecipe(Settings):
    """A training run. `base`: the folder of the base model that serves; `output`: the folder of the run, by default
    `runs/NAME` beside the recipe; `track`: further trackers, where they are installed."""

    name: str = Field(pattern=rf"^{NAME_PATTERN}$")
    base: ConfigPath
    data: DataSection
    method: Annotated[MethodName, BeforeValidator(_method)] = "sft"
    adapter: AdapterSection = AdapterSection()
    loss: LossSection = LossSection()
    schedule: ScheduleSection = ScheduleSection()
    compute: ComputeSection = ComputeSection()
    watch: WatchSection = WatchSection()
    checkpoints: CheckpointSection = CheckpointSection()
    card: CardSection = CardSection()
    track: Annotated[tuple[Literal["mlflow", "wandb", "tensorboard"], ...], BeforeValidator(_listed)] = ()
    output: ConfigPath | None = None
    seed: int = Field(default=7, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        if self.schedule.packing and self.method != "sft":
            raise ValueError(f"schedule.packing goes with sft alone, not with {self.method}")
        if self.schedule.order == "by_length" and self.method != "sft":
            raise ValueError(f"schedule.order: by_length goes with sft alone, not with {self.method}")
        validated = bool(self.data.validation or self.data.share)
        if self.watch.patience is not None and not validated:
            raise ValueError("watch.patience needs data.validation or data.share")
        every, saved = self.watch.every, self.checkpoints.every
        if every is not None and saved is not None and every % saved:
            raise ValueError("checkpoints.every must divide watch.every, so that what was measured best is kept")
        return self

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return self.schedule.rate if self.schedule.rate is not None else METHODS[self.method].rate


def load_recipe(path: Path) -> TrainingRecipe:
    """Reads the recipe in the YAML file at `path`. Raises ConfigError with every fault and its line."""
    recipe = parse_settings(TrainingRecipe, load_yaml(path), source=str(path), file=path)
    if recipe.output is not None:
        return recipe
    return recipe.model_copy(update={"output": path.absolute().parent / "runs" / recipe.name})


def recipe_digest(recipe: TrainingRecipe) -> str:
    """Returns the SHA-256 in hex of all that changes a run's result: where its files are is left out."""
    document = recipe.model_dump(mode="json", exclude={"output", "track", "card", "base", "name"})
    for part in ("train", "validation", "general"):
        del document["data"][part]
    document["compute"] = {"precision": recipe.compute.precision}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
