"""The training data as token batches: answers are learned, prompts are only read."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from patchbay.tuning.demo.corpus import Example, seeded
from patchbay.tuning.demo.tokenizer import END, PAD, id_of, render

IGNORED = -100
BUCKET = 16


@dataclass(frozen=True, slots=True)
class Sequence:
    """The token ids of one example. The answer, with its end token, begins at `start`."""

    ids: list[int]
    start: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A padded batch of sequences: `ids` and `targets`, both [batch, length]; targets are shifted and `IGNORED` outside
    the answers."""

    ids: torch.Tensor
    targets: torch.Tensor


def encode(tokenizer: Tokenizer, examples: list[Example]) -> list[Sequence]:
    """Encodes prompts and answers as ids."""
    prompts = tokenizer.encode_batch([render(example.messages) for example in examples], add_special_tokens=False)
    answers = tokenizer.encode_batch([example.answer + END for example in examples], add_special_tokens=False)
    return [Sequence(prompt.ids + answer.ids, len(prompt.ids)) for prompt, answer in zip(prompts, answers, strict=True)]


def collate(sequences: list[Sequence], pad: int) -> Batch:
    """Pads on the right. Causal attention never looks there from a real token, so no mask is needed."""
    length = max(len(sequence.ids) for sequence in sequences) - 1
    ids = torch.full((len(sequences), length), pad)
    targets = torch.full((len(sequences), length), IGNORED)
    for row, sequence in enumerate(sequences):
        count = len(sequence.ids) - 1
        ids[row, :count] = torch.tensor(sequence.ids[:-1])
        targets[row, sequence.start - 1 : count] = torch.tensor(sequence.ids[sequence.start :])
    return Batch(ids, targets)


def batches(tokenizer: Tokenizer, examples: list[Example], size: int, seed: str) -> Iterator[Batch]:
    """Yields batches without end, shuffled each epoch, of similar lengths so that little is padding.

    `size`: examples in a batch; `seed`: of the shuffling.
    """
    rng = seeded(seed)
    sequences = encode(tokenizer, examples)
    pad = id_of(tokenizer, PAD)
    while True:
        rng.shuffle(sequences)
        for first in range(0, len(sequences), size * BUCKET):
            pool = sorted(sequences[first : first + size * BUCKET], key=lambda sequence: len(sequence.ids))
            groups = [pool[start : start + size] for start in range(0, len(pool), size)]
            rng.shuffle(groups)
            yield from (collate(group, pad) for group in groups)
