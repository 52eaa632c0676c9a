"""The training of the demo's models from nothing but a seed."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from patchbay.tuning.bases.quantize import load_dequantized, save_quantized
from patchbay.tuning.demo.base import llama_config, train_base
from patchbay.tuning.demo.corpus import base_examples
from patchbay.tuning.demo.manifest import DemoManifest
from patchbay.tuning.demo.recipe import Recipe, corpus_digest
from patchbay.tuning.demo.tokenizer import BOS, END, PAD, id_of, save_tokenizer, train_tokenizer
from patchbay.tuning.demo.tune import save_adapter, train_adapter
from patchbay.tuning.progress import ProgressSink

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "safetensors", "compressed-tensors")


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Sets deterministic kernels and a fixed number of threads (sums depend on it), and restores both afterwards."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def train_demo(recipe: Recipe, folder: Path, progress: ProgressSink) -> None:
    """Trains, quantizes and writes everything into `folder`, with a manifest."""
    began = time.monotonic()
    with reproducible(recipe.seed, recipe.threads):
        tokenizer = make_base(recipe, folder / "base", progress)
        for adapter in recipe.adapters:
            model = served_base(recipe, folder / "base", tokenizer)
            tuned = train_adapter(model, tokenizer, adapter, recipe, progress)
            save_adapter(tuned, folder / "adapters" / adapter.name)
    DemoManifest.of_folder(folder, origin(recipe, time.monotonic() - began)).write(folder)


def make_base(recipe: Recipe, folder: Path, progress: ProgressSink) -> Tokenizer:
    """Trains tokenizer and base, and writes the quantized base."""
    examples = base_examples(recipe.seed, recipe.base_examples)
    tokenizer = train_tokenizer(examples, recipe.shape.vocab_size)
    model = LlamaForCausalLM(llama_config(recipe.shape, tokenizer))
    train_base(model, tokenizer, examples, recipe, progress)
    save_quantized(model, folder, recipe.shape.group_size)
    save_tokenizer(tokenizer, folder, recipe.shape.max_positions)
    write_generation_config(tokenizer, folder)
    return tokenizer


def write_generation_config(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes where generation begins and ends."""
    names = {"bos_token_id": BOS, "eos_token_id": END, "pad_token_id": PAD}
    ids = {name: id_of(tokenizer, token) for name, token in names.items()}
    (folder / "generation_config.json").write_text(f"{json.dumps(ids, indent=2)}\n", encoding="utf-8")


def served_base(recipe: Recipe, folder: Path, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Builds a fresh model with the weights that serve."""
    model = LlamaForCausalLM(llama_config(recipe.shape, tokenizer))
    load_dequantized(folder, model, recipe.shape.group_size)
    return model


def origin(recipe: Recipe, seconds: float) -> dict[str, Any]:
    """Describes where the models come from, for the manifest."""
    return {
        "seed": recipe.seed,
        "recipe": repr(recipe),
        "corpus_sha256": corpus_digest(recipe),
        "command": f"patchbay demo build --train --seed {recipe.seed}",
        "train_seconds": round(seconds),
        "versions": {name: version(name) for name in PACKAGES},
    }
