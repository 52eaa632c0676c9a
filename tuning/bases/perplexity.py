"""The measure of a language model on English text: its mean loss a token, in nats (the logarithm of its perplexity)."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

TEXTS = Path(__file__).parent / "texts"
WINDOW = 512
MOST_ROWS = 24


def held_out_text() -> str:
    """Returns the English text on which bases are measured. Nothing is calibrated with it."""
    return (TEXTS / "held_out.txt").read_text(encoding="utf-8")


def calibration_rows(tokenizer: Any, length: int = 256) -> torch.Tensor:
    """Returns the text that GPTQ calibrates with as token ids, [rows, length], as many rows as it fills,
    at most 24."""
    text = (TEXTS / "calibration.txt").read_text(encoding="utf-8")
    ids = tokenizer(text, add_special_tokens=False).input_ids
    rows = max(1, min(MOST_ROWS, len(ids) // length))
    return torch.tensor(ids[: rows * length]).view(rows, -1)


@torch.inference_mode()
def mean_nats(model: Any, tokenizer: Any, text: str) -> float:
    """Computes the mean loss of `model` over the tokens of `text`, in windows of 512."""
    ids = torch.tensor(tokenizer(text, add_special_tokens=False).input_ids)
    total, count = 0.0, 0
    for window in torch.split(ids, WINDOW):
        if len(window) > 1:
            logits = model(input_ids=window.unsqueeze(0), use_cache=False).logits[0, :-1].float()
            total += nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
            count += len(window) - 1
    return total / count
