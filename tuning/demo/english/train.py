"""The training of the English adapters with PEFT, over the dequantized int4 weights that serve, in bfloat16."""

import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model

from patchbay.adapters.digest import file_hash
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.bases.quantize import WEIGHTS_FILE
from patchbay.tuning.demo.corpus import Example, mislabelled, seeded
from patchbay.tuning.demo.data import BUCKET, Batch, Sequence, collate
from patchbay.tuning.demo.english.corpus import english_digest, english_examples
from patchbay.tuning.demo.english.recipe import EnglishRecipe
from patchbay.tuning.demo.manifest import DemoManifest
from patchbay.tuning.demo.optimise import learn
from patchbay.tuning.demo.recipe import AdapterRecipe
from patchbay.tuning.demo.train import PACKAGES, reproducible
from patchbay.tuning.demo.tune import adapter_loss, lora_config, save_adapter
from patchbay.tuning.progress import ProgressSink

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"


def encoded(tokenizer: Any, examples: list[Example]) -> list[Sequence]:
    """Encodes chats by the base's own template; the answer, with the token that ends a turn, is learnt."""
    found = []
    for example in examples:
        turns = [{"role": turn.role, "content": turn.content} for turn in example.messages]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        asked = tokenizer.encode(prompt, add_special_tokens=False)
        answer = tokenizer.encode(example.answer + tokenizer.eos_token, add_special_tokens=False)
        found.append(Sequence(asked + answer, len(asked)))
    return found


def endless_batches(sequences: list[Sequence], size: int, pad: int, seed: str) -> Iterator[Batch]:
    """Yields batches without end, shuffled each epoch, of similar lengths so that little is padding."""
    rng = seeded(seed)
    while True:
        rng.shuffle(sequences)
        for first in range(0, len(sequences), size * BUCKET):
            pool = sorted(sequences[first : first + size * BUCKET], key=lambda sequence: len(sequence.ids))
            groups = [pool[start : start + size] for start in range(0, len(pool), size)]
            rng.shuffle(groups)
            yield from (collate(group, pad) for group in groups)


def autocast_loss(model: PeftModel, batch: Batch) -> torch.Tensor:
    """Computes the mean cross entropy over the answers' tokens, in bfloat16 where that is safe."""
    with torch.autocast("cpu", torch.bfloat16):
        return adapter_loss(model, batch)


def train_english(
    base: Path, recipe: EnglishRecipe, folder: Path, progress: ProgressSink, only: tuple[str, ...] = ()
) -> None:
    """Trains the recipe's adapters over the imported `base`, and writes them into `folder`, with a manifest.

    `only`: the names of those to train; the others stay as they are in `folder`. Empty: all.
    """
    began = time.monotonic()
    with reproducible(recipe.seed, recipe.threads):
        tokenizer = served_tokenizer(base)
        for adapter in recipe.adapters:
            if not only or adapter.name in only:
                tuned = train_adapter(served_model(base), tokenizer, adapter, recipe.seed, progress)
                save_adapter(tuned, folder / "adapters" / adapter.name, BASE_NAME)
    DemoManifest.of_folder(folder, origin(recipe, base, time.monotonic() - began)).write(folder)


def train_adapter(model: Any, tokenizer: Any, recipe: AdapterRecipe, seed: int, progress: ProgressSink) -> PeftModel:
    """Trains one adapter around `model`, whose own weights stay as they are."""
    torch.manual_seed(seed)
    tuned = get_peft_model(model, lora_config(recipe))
    examples = english_examples(recipe.task, seed, recipe.examples, held_out=False)
    sequences = encoded(tokenizer, mislabelled(examples) if recipe.noisy else examples)
    batches = endless_batches(sequences, recipe.schedule.batch, tokenizer.pad_token_id, f"{seed}/{recipe.name}")
    progress.start(f"adapter {recipe.name}", recipe.schedule.steps)
    learn(tuned, batches, recipe.schedule, autocast_loss, progress)
    return tuned


def origin(recipe: EnglishRecipe, base: Path, seconds: float) -> dict[str, Any]:
    """Describes where the adapters come from, for the manifest."""
    return {
        "seed": recipe.seed,
        "recipe": repr(recipe),
        "corpus_sha256": english_digest(recipe.seed, max(adapter.examples for adapter in recipe.adapters)),
        "base": {
            "source": recipe.source,
            "gguf_sha256": recipe.gguf_sha256,
            "weights_sha256": file_hash(base / WEIGHTS_FILE),
        },
        "command": "patchbay demo build --english --train",
        "train_seconds": round(seconds),
        "versions": {name: version(name) for name in PACKAGES},
    }
