"""Examples as token batches: answers are learned, prompts are only read."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from patchbay.adapters.demo.corpus import Example, seeded
from patchbay.adapters.demo.tokenizer import END, PAD, id_of, render

IGNORED = -100
BUCKET = 16


@dataclass(frozen=True, slots=True)
class Sequence:
    """One example's token ids; the answer (with its end token) begins at `start`."""

    ids: list[int]
    start: int


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids` and `targets`, both [batch, length]; targets are shifted and `IGNORED` outside the answers."""

    ids: torch.Tensor
    targets: torch.Tensor


def encode(tokenizer: Tokenizer, examples: list[Example]) -> list[Sequence]:
    """Prompts and answers as ids."""
    prompts = tokenizer.encode_batch([render(one.messages) for one in examples], add_special_tokens=False)
    answers = tokenizer.encode_batch([one.answer + END for one in examples], add_special_tokens=False)
    return [Sequence(prompt.ids + answer.ids, len(prompt.ids)) for prompt, answer in zip(prompts, answers, strict=True)]


def collate(sequences: list[Sequence], pad: int) -> Batch:
    """Pad on the right; causal attention never looks there from a real token, so no mask is needed."""
    length = max(len(one.ids) for one in sequences) - 1
    ids = torch.full((len(sequences), length), pad)
    targets = torch.full((len(sequences), length), IGNORED)
    for row, one in enumerate(sequences):
        count = len(one.ids) - 1
        ids[row, :count] = torch.tensor(one.ids[:-1])
        targets[row, one.start - 1 : count] = torch.tensor(one.ids[one.start :])
    return Batch(ids, targets)


def batches(tokenizer: Tokenizer, examples: list[Example], size: int, seed: str) -> Iterator[Batch]:
    """Batches without end, shuffled each epoch, of similar lengths so that little is padding."""
    rng = seeded(seed)
    sequences = encode(tokenizer, examples)
    pad = id_of(tokenizer, PAD)
    while True:
        rng.shuffle(sequences)
        for first in range(0, len(sequences), size * BUCKET):
            pool = sorted(sequences[first : first + size * BUCKET], key=lambda one: len(one.ids))
            groups = [pool[at : at + size] for at in range(0, len(pool), size)]
            rng.shuffle(groups)
            yield from (collate(group, pad) for group in groups)
