"""The training loop that the base and the adapters share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from patchbay.tuning.demo.data import Batch
from patchbay.tuning.demo.recipe import Schedule
from patchbay.tuning.progress import ProgressSink

CLIP = 1.0
FLAT_SHARE = 0.3
Loss = Callable[[Any, Batch], torch.Tensor]


def rate_factor(schedule: Schedule, step: int) -> float:
    """Returns the share of the peak rate at `step`: up linearly, flat for three tenths, then down linearly to a
    fiftieth."""
    rising = (step + 1) / schedule.warmup
    flat = schedule.steps * FLAT_SHARE
    falling = 1 - max(0.0, step - flat) / (schedule.steps - flat)
    return min(rising, max(0.02, falling))


def matrices_and_rest(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Splits the trainable parameters into hidden weight matrices and everything else (embeddings, head, norms)."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    hidden = [parameter for name, parameter in named if name.endswith("_proj.weight")]
    return hidden, [parameter for name, parameter in named if not name.endswith("_proj.weight")]


def optimizers(model: nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Returns Muon for hidden matrices and AdamW for the rest (and for all of an adapter).

    Muon learns to copy in about half the steps that AdamW needs here. Source: Liu et al., "Muon is scalable for LLM
    training", arXiv 2502.16982, whose scaling lets both share one rate.
    """
    hidden, rest = matrices_and_rest(model)
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0)
    ]
    if hidden:
        found.append(
            torch.optim.Muon(hidden, lr=schedule.rate, weight_decay=schedule.decay, adjust_lr_fn="match_rms_adamw")
        )
    return found


def learn(
    model: nn.Module, batches: Iterator[Batch], schedule: Schedule, loss_of: Loss, progress: ProgressSink
) -> None:
    """Runs the schedule over the trainable parameters of `model`.

    `batches`: at least as many as the schedule's steps; `loss_of`: the loss of a batch; `progress`: is advanced by each
    step.
    """
    active = optimizers(model, schedule)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in active]
    model.train()
    for step, batch in zip(range(schedule.steps), batches, strict=False):
        for optimizer, rate in zip(active, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * rate_factor(schedule, step)
        loss = loss_of(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trainable(model), CLIP)
        for optimizer in active:
            optimizer.step()
            optimizer.zero_grad()
        progress.advance(note=f"loss {loss.item():.3f}")
    model.eval()


def trainable(model: nn.Module) -> Iterable[nn.Parameter]:
    """Returns the parameters that learn."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
