"""The comparison of an engine's answers with PEFT's, token by token."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class GreedyAnswer:
    """An engine's greedy answer to the tokens `prompt`: its tokens, and the logarithms of their probabilities."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of an engine's answers with PEFT's.

    `tokens`: how many were compared; `same`: how many of them PEFT would have chosen, too, after the same text;
    `short`: by how many nats the worst of the others falls short of PEFT's choice; `apart`: how far the
    log-probabilities are apart at most; `effect`: how far those of the base alone are from PEFT's, at most.
    """

    tokens: int
    same: int
    short: float
    apart: float
    effect: float


def scores(model: Any, answer: GreedyAnswer) -> torch.Tensor:
    """Computes the log-probabilities [tokens of the answer, vocabulary] that `model` gives after the same text."""
    ids = torch.tensor([[*answer.prompt, *answer.tokens]])
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=ids).logits[0, len(answer.prompt) - 1 : -1]
    return torch.log_softmax(logits.float(), dim=-1)


def agreement(base: Any, adapter: Path | None, answers: Sequence[GreedyAnswer]) -> Agreement:
    """Compares the `answers` of an engine with those of PEFT with `adapter` on `base`, None for the base alone.

    Leaves `base` as it was.
    """
    from peft import PeftModel

    plain = [scores(base, one) for one in answers]
    if adapter is None:
        return compared(answers, plain, plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(base, str(adapter)).eval()
        try:
            expected = [scores(model, one) for one in answers]
        finally:
            model.unload()
    return compared(answers, expected, plain)


def compared(
    answers: Sequence[GreedyAnswer], expected: Sequence[torch.Tensor], plain: Sequence[torch.Tensor]
) -> Agreement:
    """Compares the `answers` with `expected` log-probabilities, and those with the base's `plain` ones."""
    tokens = torch.tensor([token for one in answers for token in one.tokens])
    found = torch.tensor([logprob for one in answers for logprob in one.logprobs])
    ours, alone = torch.cat(list(expected)), torch.cat(list(plain))
    of_tokens = ours.gather(1, tokens.unsqueeze(1)).squeeze(1)
    short = ours.max(dim=1).values - of_tokens
    return Agreement(
        tokens=len(tokens),
        same=int((ours.argmax(dim=1) == tokens).sum()),
        short=float(short.max()),
        apart=float((found - of_tokens).abs().max()),
        effect=float((ours - alone).abs().max()),
    )
