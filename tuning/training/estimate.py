"""The estimate of a run before it begins: its memory by parts, and its time. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from patchbay.tuning.training.hardware import Device
from patchbay.tuning.training.recipe import ALL_LINEAR, TrainingRecipe
from patchbay.tuning.training.shape import TrainedShape

# 4 bits, and the constants of blocks of 64, themselves quantized (Dettmers et al., arXiv 2305.14314).
_NF4_BYTES: Final = 4.127 / 8
# Weight, gradient and AdamW's two moments, all float32.
_TRAINED_BYTES: Final = 16
# TRL computes the losses of sft, dpo and kto without holding all logits.
_LOGITS_AT_ONCE: Final = 2048
# Weights are moved and cast once in a while, and allocators leave gaps.
_SPARE: Final = 1.08
# Sequences of a row, passes forward that are also passed backward, and passes forward alone (by the reference model).
_PASSES: Final[Mapping[str, tuple[int, int, int]]] = {
    "sft": (1, 1, 0),
    "dpo": (2, 2, 2),
    "orpo": (2, 2, 0),
    "kto": (1, 1, 3),
}
# What the machine may be filled to.
_FULL: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The rows of a run. `rows`, `validation`: how many; `tokens`: of an average row; `longest`: of the longest row of
    an average batch, to which the others are padded."""

    rows: int
    tokens: float
    longest: float
    validation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The memory in bytes, by parts, and the time in seconds. `trained`: parameters that learn; `fits`: whether it goes
    into the device."""

    device: str
    available: int
    parts: Mapping[str, float]
    trained: int
    steps: int
    seconds: float
    fits: bool

    @property
    def memory(self) -> float:
        """The memory of all parts, in bytes."""
        return sum(self.parts.values())


def estimate(
    recipe: TrainingRecipe, shape: TrainedShape, work: Workload, device: Device, *, devices: int = 1
) -> Estimate:
    """Estimates the run of `recipe` over a base of `shape`. `devices`: how many share the rows."""
    parts = memory_parts(recipe, shape, work, device)
    steps = step_count(recipe, work, devices)
    return Estimate(
        device=device.name if devices == 1 else f"{devices} x {device.name}",
        available=device.memory,
        parts=parts,
        trained=trained_parameters(recipe, shape),
        steps=steps,
        seconds=run_seconds(recipe, shape, work, device, steps),
        fits=sum(parts.values()) <= _FULL * device.memory,
    )


def trained_parameters(recipe: TrainingRecipe, shape: TrainedShape) -> int:
    """Counts the parameters of the adapter: of each target, rank times its inputs and outputs together."""
    targets = recipe.adapter.targets
    chosen = shape.linears if targets == (ALL_LINEAR,) else {n: s for n, s in shape.linears.items() if n in targets}
    total = 0
    for name, (inputs, outputs) in chosen.items():
        rank = recipe.adapter.rank_pattern.get(name, recipe.adapter.rank)
        total += rank * (inputs + outputs) + (outputs if recipe.adapter.kind == "dora" else 0)
    return total * (len(recipe.adapter.layers) or shape.layers)


def memory_parts(recipe: TrainingRecipe, shape: TrainedShape, work: Workload, device: Device) -> dict[str, float]:
    """Estimates the bytes of each part of a run's memory."""
    number = 2 if recipe.compute.precision == "bf16" else 4
    held = number if device.gpu else 4
    weight = _NF4_BYTES if device.gpu and recipe.adapter.kind == "qlora" and not shape.quantized else held
    tokens = tokens_at_once(recipe, work)
    kept = shape.layers * shape.kept_of_a_token
    if recipe.compute.gradient_checkpointing:
        kept = shape.layers * shape.hidden + shape.kept_of_a_token
    logits = tokens if recipe.method == "orpo" else min(tokens, _LOGITS_AT_ONCE)
    return {
        "base weights": shape.linear_weights * weight + shape.embedding_weights * held,
        "adapter, gradients, optimizer": float(trained_parameters(recipe, shape) * _TRAINED_BYTES),
        "activations": tokens * kept * number * _SPARE,
        "logits": logits * shape.vocabulary * 4 * 3.0,
        "runtime": float(device.overhead),
    }


def tokens_at_once(recipe: TrainingRecipe, work: Workload) -> float:
    """Returns the tokens of one batch on one device, with its padding."""
    sequences = _PASSES[recipe.method][0]
    if recipe.schedule.packing:
        return float(recipe.schedule.batch * recipe.data.max_length)
    return recipe.schedule.batch * sequences * min(work.longest, recipe.data.max_length)


def step_count(recipe: TrainingRecipe, work: Workload, devices: int = 1) -> int:
    """Returns how often the weights will move."""
    if recipe.schedule.steps is not None:
        return recipe.schedule.steps
    rows = work.rows
    if recipe.schedule.packing:
        rows = math.ceil(work.rows * work.tokens / recipe.data.max_length)
    an_epoch = math.ceil(math.ceil(rows / devices / recipe.schedule.batch) / recipe.schedule.accumulation)
    return max(1, math.ceil(recipe.schedule.epochs * an_epoch))


def run_seconds(recipe: TrainingRecipe, shape: TrainedShape, work: Workload, device: Device, steps: int) -> float:
    """Estimates a run's time by its arithmetic: 2 operations a weight and token forward, 2 backward through frozen
    weights, 2 more where activations are computed again. Source: Kaplan et al., arXiv 2001.08361."""
    _, backward, forward = _PASSES[recipe.method]
    again = 1 if recipe.compute.gradient_checkpointing else 0
    sequences = _PASSES[recipe.method][0]
    passes = (backward * (2 + again) + forward) / sequences
    tokens = tokens_at_once(recipe, work) * recipe.schedule.accumulation
    a_pass = 2.0 * (shape.linear_weights + shape.vocabulary * shape.hidden)
    # Queries times keys and weights times values, of which half is masked.
    a_pass += 2.0 * shape.layers * shape.heads * shape.head_size * min(work.longest, recipe.data.max_length)
    evaluated = 11 * work.validation * min(work.longest, recipe.data.max_length) * sequences * a_pass
    arithmetic = (steps * tokens * passes * a_pass + evaluated) / device.flops
    return arithmetic + steps * recipe.schedule.accumulation * device.step


def workload(lengths: Sequence[int], batch: int, validation: int = 0) -> Workload:
    """Makes the workload of rows whose tokens `lengths` gives, in an order that is as good as any."""
    longest = [max(lengths[place : place + batch]) for place in range(0, len(lengths), batch)]
    return Workload(
        rows=len(lengths),
        tokens=sum(lengths) / len(lengths),
        longest=sum(longest) / len(longest),
        validation=validation,
    )
