"""The log-probabilities that PEFT gives, with an adapter and without it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# The least that is written, in nats: a probability may be 0.
LEAST = -1000.0


def logprobs(model: Any, ids: Sequence[int]) -> tuple[float, ...]:
    """Computes the logarithms of the probabilities of `ids[1:]`, each given those before it, in nats.

    `model`: a causal model of transformers, or one of PEFT's around it.
    """
    import torch

    tokens = torch.tensor([list(ids)], device=next(model.parameters()).device)
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0, :-1].float()
    found = torch.log_softmax(logits, dim=-1).gather(1, tokens[0, 1:].unsqueeze(1)).squeeze(1)
    return tuple(max(value, LEAST) for value in found.tolist())


def rounding_noise(model: Any, rows: Sequence[Sequence[int]], exact: Sequence[Sequence[float]]) -> float | None:
    """Measures how far the log-probabilities of `rows` move when `model` computes in bfloat16: the mean difference from
    the `exact` ones, in nats. Returns None where the model's weights are no float32, and so nothing is exact."""
    import torch

    parameter = next(model.parameters())
    if parameter.dtype != torch.float32:
        return None
    with torch.autocast(parameter.device.type, torch.bfloat16):
        rounded = [logprobs(model, row) for row in rows]
    pairs = [pair for one, other in zip(rounded, exact, strict=True) for pair in zip(one, other, strict=True)]
    return min(sum(abs(first - second) for first, second in pairs) / len(pairs), 1.0)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Turns dropout off while the block runs, and back on where it was."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


def trained_scales(model: Any) -> dict[str, float]:
    """Reads the modules that the active adapters of the PEFT `model` change, each with the factor of its product, from
    the modules themselves: that is what was trained, whatever a configuration says."""
    from peft.tuners.lora import LoraLayer

    scales = {}
    for name, module in model.get_base_model().named_modules():
        if isinstance(module, LoraLayer):
            for adapter in module.active_adapters:
                if adapter in module.scaling:
                    scales[name] = float(module.scaling[adapter])
    return scales
