"""The noise of a base's log-probabilities, and what rounding its weights once more does to them: `python -m
tools.parity_noise FOLDER`. The table in docs/tuning.md is from it.

Rows are the prompts of `patchbay tune parity`. Figures are mean differences from float32, in nats a token, none counted
as more than 3.
"""

import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from patchbay.adapters.parity.comparing import apart, flat
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.parity.prompts import PROMPTS
from patchbay.tuning.parity.rows import prompt_text, tokens_of
from patchbay.tuning.parity.scoring import logprobs

_GROUP = 32
_ROWS = 16


def noise_of(folder: Path) -> Iterator[tuple[str, float]]:
    """Yields each change with the mean difference that it makes, over the base in `folder`."""
    tokenizer, model = served_tokenizer(folder), served_model(folder).eval()
    asked = [[{"role": "user", "content": prompt}] for prompt in PROMPTS[:_ROWS]]
    rows = [tokens_of(tokenizer, prompt_text(tokenizer, messages)) for messages in asked]
    exact = _scored(model, rows)
    with torch.autocast("cpu", torch.bfloat16):
        yield "computed in bfloat16", apart(_scored(model, rows), exact)
    for bits in (8, 5, 4):
        yield f"rounded to {bits} bits", apart(_scored(rounded(model, bits), rows), exact)


def rounded(model: Any, bits: int) -> Any:
    """Copies a model with the weights of its linear layers rounded, symmetrically, by groups of 32 inputs."""
    other = copy.deepcopy(model)
    most = 2 ** (bits - 1)
    for name, parameter in other.named_parameters():
        if name.endswith("_proj.weight"):
            groups = parameter.data.reshape(parameter.shape[0], -1, _GROUP)
            scale = groups.abs().amax(-1, keepdim=True).clamp(min=1e-8) / (most - 0.5)
            parameter.data = ((groups / scale).round().clamp(-most, most - 1) * scale).reshape(parameter.shape)
    return other


def _scored(model: Any, rows: Sequence[Sequence[int]]) -> list[float]:
    return flat([logprobs(model, row) for row in rows])


if __name__ == "__main__":
    for change, difference in noise_of(Path(sys.argv[1])):
        print(f"{change}: {difference:.3f}", flush=True)  # noqa: T201
