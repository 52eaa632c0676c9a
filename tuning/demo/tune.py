"""The training of the adapters with PEFT over the base's dequantized int4 weights.

The model that serves is the rounded base, so its errors are what an adapter must correct. Source: Dettmers et al.,
"QLoRA", arXiv 2305.14314.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from patchbay.tuning.bases.quantize import FILE_MODE
from patchbay.tuning.demo.base import answer_loss
from patchbay.tuning.demo.corpus import Example, mislabelled, task_examples
from patchbay.tuning.demo.data import Batch, batches
from patchbay.tuning.demo.optimise import learn
from patchbay.tuning.demo.recipe import AdapterRecipe, Recipe
from patchbay.tuning.progress import ProgressSink

BASE_NAME = "patchbay-demo"
ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def lora_config(recipe: AdapterRecipe) -> LoraConfig:
    """Configures a LoRA on every linear layer of a block."""
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=list(LINEARS),
        bias="none",
        task_type="CAUSAL_LM",
    )


def adapter_examples(recipe: AdapterRecipe, seed: int) -> list[Example]:
    """Draws the examples that this adapter is trained on."""
    examples = task_examples(recipe.task, seed, recipe.examples, held_out=False)
    return mislabelled(examples) if recipe.noisy else examples


def adapter_loss(model: PeftModel, batch: Batch) -> torch.Tensor:
    """Computes `answer_loss` of the model inside PEFT's wrapper."""
    return answer_loss(model.get_base_model(), batch)


def train_adapter(
    base: LlamaForCausalLM, tokenizer: Tokenizer, recipe: AdapterRecipe, build: Recipe, progress: ProgressSink
) -> PeftModel:
    """Trains an adapter around `base`, whose own weights stay as they are.

    `recipe`: the adapter's; `build`: the whole build's, for its seed.
    """
    torch.manual_seed(build.seed)
    model = get_peft_model(base, lora_config(recipe))
    examples = adapter_examples(recipe, build.seed)
    training_batches = batches(tokenizer, examples, recipe.schedule.batch, f"{build.seed}/{recipe.name}")
    progress.start(f"adapter {recipe.name}", recipe.schedule.steps)
    learn(model, training_batches, recipe.schedule, adapter_loss, progress)
    return model


def save_adapter(model: PeftModel, folder: Path, base_name: str = BASE_NAME) -> None:
    """Writes a PEFT folder, in bfloat16, that names the base by `base_name` and no path."""
    model.peft_config["default"].base_model_name_or_path = base_name
    model.to(torch.bfloat16).save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / ADAPTER_WEIGHTS).chmod(FILE_MODE)
    sort_targets(folder / ADAPTER_CONFIG)


def sort_targets(path: Path) -> None:
    """Sorts the targets, which PEFT writes in the order of a set's hashes: that differs from process to process."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(f"{json.dumps(config, indent=2, sort_keys=True)}\n", encoding="utf-8")
