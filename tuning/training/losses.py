"""Losses of a model on chats, and the memory that a process took."""

import resource
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from patchbay.tuning.training.rows import Row
from patchbay.tuning.training.tokens import IGNORED


@torch.no_grad()
def chat_loss(model: Any, rows: Sequence[Row], batch: int) -> float:
    """Returns the mean loss of `model` over the learned tokens of encoded chats, in nats a token.

    `rows`: with `input_ids` and `labels`; `batch`: how many are computed at once. The model's mode is restored.
    """
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    for begin in range(0, len(ordered), batch):
        loss, tokens = _batch_loss(model, ordered[begin : begin + batch])
        total, count = total + loss, count + tokens
    model.train(was_training)
    return total / max(1, count)


def _batch_loss(model: Any, rows: Sequence[Row]) -> tuple[float, int]:
    device = next(model.parameters()).device
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for place, row in enumerate(rows):
        count = len(row["input_ids"])
        ids[place, :count] = torch.tensor(row["input_ids"])
        labels[place, :count] = torch.tensor(row["labels"])
        mask[place, :count] = 1
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits[:, :-1].float()
    targets = labels[:, 1:].to(device)
    loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss.item(), int((targets != IGNORED).sum().item())


def peak_bytes() -> float:
    """Returns the most memory that this process had: of the GPU where it has one, else of the machine."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024
