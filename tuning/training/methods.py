"""The training methods: what each one learns from, and what to use in place of those that are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

MethodName = Literal["sft", "dpo", "orpo", "kto"]
AdapterKind = Literal["lora", "rslora", "dora", "qlora"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMethod:
    """A method of training. `title`: its whole name; `keys`: those of a row; `rate`: a good peak learning rate for an
    adapter; `source`: the paper; `use`: when to use it."""

    title: str
    keys: tuple[str, ...]
    rate: float
    source: str
    use: str


METHODS: Final[Mapping[MethodName, TrainingMethod]] = MappingProxyType(
    {
        "sft": TrainingMethod(
            title="supervised fine-tuning",
            keys=("messages",),
            rate=2e-4,
            source="Ouyang et al., arXiv 2203.02155",
            use="You have good answers. Begin here.",
        ),
        "dpo": TrainingMethod(
            title="direct preference optimization",
            keys=("prompt", "chosen", "rejected"),
            rate=1e-5,
            source="Rafailov et al., arXiv 2305.18290",
            use="You have pairs of a better and a worse answer, and an adapter that answers in the right form.",
        ),
        "orpo": TrainingMethod(
            title="odds ratio preference optimization",
            keys=("prompt", "chosen", "rejected"),
            rate=5e-5,
            source="Hong et al., arXiv 2403.07691",
            use="You have pairs, and want to learn form and preference at once, without a reference model.",
        ),
        "kto": TrainingMethod(
            title="Kahneman-Tversky optimization",
            keys=("prompt", "completion", "label"),
            rate=1e-5,
            source="Ethayarajh et al., arXiv 2402.01306",
            use="You have votes, up and down, on single answers.",
        ),
    }
)
# What people ask for and does not exist here, and the way to go.
REFUSED_METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "full": "Full fine-tuning makes a base model of its own, which no replica shares. Use 'sft' with an adapter of "
        "a higher rank (64 or more) on all linear layers, which learns as much from up to some 100,000 examples.",
        "ppo": "PPO needs a reward model and a loop of its own. Use 'dpo' for pairs or 'kto' for votes.",
        "grpo": "GRPO needs a reward function and an engine beside it. Use 'dpo' for pairs or 'kto' for votes.",
        "rlhf": "Use 'dpo' for pairs or 'kto' for votes: both need no reward model.",
    }
)
REFUSED_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("prefix", "prefix_tuning", "p_tuning", "p-tuning", "prompt_tuning", "ia3"),
        "No engine serves it beside other adapters. Use 'lora', of rank 4 if it is to be small.",
    )
    | {"full": "A full copy of the weights is no adapter. Use 'lora' of rank 64 or more on all linear layers."}
)
