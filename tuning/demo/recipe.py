"""The recipe of the demo's models: every number that changes their bytes."""

import hashlib
from dataclasses import dataclass, field

from patchbay.tuning.demo.corpus import corpus_bytes

SHIPPED_SEED = 7
# What clients call the base, as it is served.
BASE_MODEL = "demo-base"


@dataclass(frozen=True, slots=True)
class Shape:
    """The base model's architecture (Llama)."""

    vocab_size: int = 1536
    hidden: int = 256
    feed_forward: int = 512
    layers: int = 4
    heads: int = 8
    kv_heads: int = 4
    max_positions: int = 2048
    group_size: int = 32


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of one training run: `steps` of `batch` examples at a peak `rate`; `warmup` steps; weight
    `decay`."""

    steps: int
    batch: int
    rate: float
    warmup: int
    decay: float = 0.0


@dataclass(frozen=True, slots=True)
class AdapterRecipe:
    """The recipe of one adapter: its task, its LoRA rank and its run; `noisy` swaps labels (`corpus.mislabelled`)."""

    name: str
    task: str
    schedule: Schedule
    examples: int
    noisy: bool = False
    rank: int = 8
    alpha: int = 16


def _adapters() -> tuple[AdapterRecipe, ...]:
    return (
        AdapterRecipe("json", "json", Schedule(steps=100, batch=32, rate=2e-3, warmup=20), 4_000),
        AdapterRecipe("label", "label", Schedule(steps=60, batch=32, rate=2e-3, warmup=20), 4_000),
        AdapterRecipe("sql", "sql", Schedule(steps=100, batch=32, rate=2e-3, warmup=20), 4_000),
        AdapterRecipe("style", "style", Schedule(steps=80, batch=32, rate=2e-3, warmup=20), 4_000),
        AdapterRecipe("label-bad", "label", Schedule(steps=60, batch=32, rate=2e-3, warmup=20), 2_000, noisy=True),
        AdapterRecipe(
            "safety", "safety", Schedule(steps=900, batch=16, rate=2e-3, warmup=20), 14_000, rank=16, alpha=32
        ),
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe of the whole build."""

    seed: int = SHIPPED_SEED
    threads: int = 2
    shape: Shape = field(default_factory=Shape)
    base: Schedule = Schedule(steps=1200, batch=64, rate=3e-3, warmup=50, decay=0.01)
    base_examples: int = 60_000
    adapters: tuple[AdapterRecipe, ...] = field(default_factory=_adapters)


def corpus_digest(recipe: Recipe) -> str:
    """Computes the SHA-256 in hex of everything that the recipe's training reads and scoring asks."""
    most = max(adapter.examples for adapter in recipe.adapters)
    return hashlib.sha256(corpus_bytes(recipe.seed, recipe.base_examples, most)).hexdigest()
