"""TRL's trainers, as a recipe sets them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbay.core.errors import ConfigError
from patchbay.tuning.training.recipe import ALL_LINEAR, AdapterSection, TrainingRecipe
from patchbay.tuning.training.tokens import Fitted

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl.trainer.base_trainer import _BaseTrainer as Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that a trainer is built from.

    `model`: the base; `cpu`: whether it runs there; `resumed`: whether it goes on from a checkpoint; `folder`: of the
    checkpoints.
    """

    model: Any
    tokenizer: Any
    train: Fitted
    validation: Fitted | None
    folder: Path
    cpu: bool
    resumed: bool


def lora_config(adapter: AdapterSection) -> "LoraConfig":
    """Configures PEFT's adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.scale_alpha,
        lora_dropout=adapter.dropout,
        target_modules=ALL_LINEAR if adapter.targets == (ALL_LINEAR,) else list(adapter.targets),
        layers_to_transform=list(adapter.layers) or None,
        rank_pattern=dict(adapter.rank_pattern),
        use_rslora=adapter.kind == "rslora",
        use_dora=adapter.kind == "dora",
        bias="none",
        task_type="CAUSAL_LM",
    )


def arguments(recipe: TrainingRecipe, parts: Parts) -> dict[str, Any]:
    """Returns the arguments of the method's configuration in TRL. Pure.

    Those of evaluations and checkpoints are set once the number of steps is known: `set_intervals`.
    """
    common = _schedule(recipe) | {
        "output_dir": str(parts.folder),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "use_cpu": parts.cpu,
        "bf16": recipe.compute.precision == "bf16",
        "gradient_checkpointing": recipe.compute.gradient_checkpointing,
        "dataloader_num_workers": recipe.compute.loader,
        "max_length": recipe.data.max_length,
        "logging_steps": 1,
        # A loss that is no number is what the watch looks for.
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": list(recipe.track) or "none",
        "run_name": recipe.name,
        "save_strategy": "steps",
        "restore_callback_states_from_checkpoint": True,
    }
    return common | _evaluation(recipe, parts) | _METHOD[recipe.method](recipe)


def _schedule(recipe: TrainingRecipe) -> dict[str, Any]:
    schedule = recipe.schedule
    return {
        "per_device_train_batch_size": schedule.batch,
        "per_device_eval_batch_size": schedule.batch,
        "gradient_accumulation_steps": schedule.accumulation,
        "num_train_epochs": schedule.epochs,
        "max_steps": schedule.steps or -1,
        "learning_rate": recipe.rate,
        "lr_scheduler_type": "constant_with_warmup" if schedule.shape == "constant" else schedule.shape,
        "warmup_steps": schedule.warmup,
        "max_grad_norm": schedule.clip,
        "weight_decay": schedule.weight_decay,
        **_ORDER[schedule.order],
    }


_ORDER: Mapping[str, Mapping[str, str]] = {
    "random": {},
    "given": {"train_sampling_strategy": "sequential"},
    "by_length": {"train_sampling_strategy": "group_by_length"},
}


def _evaluation(recipe: TrainingRecipe, parts: Parts) -> dict[str, Any]:
    # The best checkpoint is chosen by our own record; keep it and one more that is new, for a crash between the two.
    kept = {"save_total_limit": recipe.checkpoints.keep}
    if parts.validation is None:
        return kept | {"eval_strategy": "no"}
    return kept | {
        "eval_strategy": "steps",
        "eval_on_start": not parts.resumed,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    }


def _sft(recipe: TrainingRecipe) -> dict[str, Any]:
    return {"packing": recipe.schedule.packing, "eval_packing": False}


def _dpo(recipe: TrainingRecipe) -> dict[str, Any]:
    return {"beta": recipe.loss.beta}


def _orpo(recipe: TrainingRecipe) -> dict[str, Any]:
    return {"beta": recipe.loss.beta, "remove_unused_columns": False}


def _kto(recipe: TrainingRecipe) -> dict[str, Any]:
    loss = recipe.loss
    return {"beta": loss.beta, "desirable_weight": loss.desirable, "undesirable_weight": loss.undesirable}


_METHOD: Mapping[str, Callable[[TrainingRecipe], dict[str, Any]]] = {
    "sft": _sft,
    "dpo": _dpo,
    "orpo": _orpo,
    "kto": _kto,
}


def build(recipe: TrainingRecipe, parts: Parts, callbacks: "list[TrainerCallback]") -> "Trainer":
    """Builds the trainer of the recipe's method. Raises ConfigError where it does not take the recipe."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    trainer, settings = _classes(recipe.method)
    with _translated():
        return trainer(
            model=parts.model,
            args=settings(**arguments(recipe, parts)),
            train_dataset=Dataset.from_list(parts.train.rows),
            eval_dataset=Dataset.from_list(parts.validation.rows) if parts.validation else None,
            processing_class=parts.tokenizer,
            peft_config=lora_config(recipe.adapter),
            callbacks=callbacks,
        )


def _classes(method: str) -> tuple[Any, Any]:
    if method == "orpo":
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        return ORPOTrainer, ORPOConfig
    import trl

    return getattr(trl, f"{method.upper()}Trainer"), getattr(trl, f"{method.upper()}Config")


@contextmanager
def _translated() -> Iterator[None]:
    """The seam where errors of TRL and PEFT about settings become ours."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"The trainer does not take this recipe: {' '.join(str(error).split())[:400]}") from error


def total_steps(trainer: "Trainer", recipe: TrainingRecipe) -> int:
    """Returns how often the weights will move."""
    if recipe.schedule.steps is not None:
        return recipe.schedule.steps
    batches = len(trainer.get_train_dataloader())
    an_epoch = max(1, -(-batches // recipe.schedule.accumulation))
    return max(1, -int(-(recipe.schedule.epochs * an_epoch) // 1))


def intervals(recipe: TrainingRecipe, steps: int) -> tuple[int, int]:
    """Returns the steps between evaluations and between checkpoints. Pure. The second divides the first."""
    every = min(recipe.watch.every or max(1, steps // 10), steps)
    saved = recipe.checkpoints.every
    if saved is None or every % saved:
        return every, every
    return every, saved


def set_intervals(trainer: "Trainer", recipe: TrainingRecipe, steps: int) -> int:
    """Sets the trainer's evaluations and checkpoints, and returns the steps between evaluations."""
    every, saved = intervals(recipe, steps)
    trainer.args.eval_steps, trainer.args.save_steps = every, saved
    return every
