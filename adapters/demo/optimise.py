"""The training loop that the base and the adapters share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from patchbay.adapters.demo.data import Batch
from patchbay.adapters.demo.progress import ProgressSink
from patchbay.adapters.demo.recipe import Schedule

CLIP = 1.0
FLAT_SHARE = 0.3
Loss = Callable[[Any, Batch], torch.Tensor]


def rate_factor(schedule: Schedule, step: int) -> float:
    """Of the peak rate: up linearly, flat for three tenths, then down linearly to a fiftieth."""
    rising = (step + 1) / schedule.warmup
    flat = schedule.steps * FLAT_SHARE
    falling = 1 - max(0.0, step - flat) / (schedule.steps - flat)
    return min(rising, max(0.02, falling))


def matrices_and_rest(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Hidden weight matrices, and everything else (embeddings, head, norms)."""
    named = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    hidden = [one for name, one in named if name.endswith("_proj.weight")]
    return hidden, [one for name, one in named if not name.endswith("_proj.weight")]


def optimizers(model: nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices, AdamW for the rest (and for all of an adapter).

    Muon learns to copy in about half the steps that AdamW needs here. Source: Liu et al., "Muon is scalable for LLM
    training", arXiv 2502.16982, whose scaling lets both share one rate.
    """
    hidden, rest = matrices_and_rest(model)
    made: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0)]
    if hidden:
        made.append(
            torch.optim.Muon(hidden, lr=schedule.rate, weight_decay=schedule.decay, adjust_lr_fn="match_rms_adamw")
        )
    return made


def learn(
    model: nn.Module, batches: Iterator[Batch], schedule: Schedule, loss_of: Loss, progress: ProgressSink
) -> None:
    """Run the schedule over the trainable parameters of `model`."""
    chosen = optimizers(model, schedule)
    rates = [one.param_groups[0]["lr"] for one in chosen]
    model.train()
    for step, batch in zip(range(schedule.steps), batches, strict=False):
        for one, rate in zip(chosen, rates, strict=True):
            one.param_groups[0]["lr"] = rate * rate_factor(schedule, step)
        loss = loss_of(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trainable(model), CLIP)
        for one in chosen:
            one.step()
            one.zero_grad()
        progress.advance(note=f"loss {loss.item():.3f}")
    model.eval()


def trainable(model: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters that learn."""
    return [one for one in model.parameters() if one.requires_grad]
