"""Adapters in the layouts in which trainers leave them.

PEFT and transformers' Trainer make theirs. Those of the tools that are not installed here are written after what they
leave: TRL 1.16 and LLaMA-Factory 0.9.5 were run for it; Unsloth 2026.10 needs a GPU and axolotl 0.19 other versions of
all else, so theirs are after their source.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel, Trainer, TrainingArguments

Layout = Callable[[PreTrainedModel, Path, Path], str]
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_PADDED: Mapping[str, Any] = {"padding_side": "left", "model_max_length": 2048}
# In the form that LLaMA-Factory gives its own templates: a question brings the beginning of its answer with it.
LLAMAFACTORY_TEMPLATE = (
    "{{ '<|bos|>' }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}"
    "{% if system_message is defined %}{{ '<|system|>' + system_message + '<|end|>' }}{% endif %}"
    "{% for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}"
    "{{ '<|user|>' + content + '<|end|><|assistant|>' }}{% elif message['role'] == 'assistant' %}"
    "{{ content + '<|end|>' }}{% endif %}{% endfor %}"
)
_SAID = "---\nlibrary_name: peft\ntags:\n- lora\n---\n\n# Model card\n"


def peft_saved(model: PreTrainedModel, folder: Path, seed: int, **config: Any) -> Path:
    """An adapter of random weights, as `save_pretrained` leaves it. `model` stays as it was."""
    torch.manual_seed(seed)
    settings = {"r": 8, "lora_alpha": 16, "target_modules": LINEAR, "task_type": "CAUSAL_LM"} | config
    adapted = get_peft_model(model, LoraConfig(**settings))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data += torch.randn_like(parameter) * 0.08
    adapted.save_pretrained(str(folder))
    adapted.unload()
    return folder


def beside(folder: Path, *names: str, text: str = "{}") -> None:
    """Puts files of a trainer's own there; a name that ends with .bin or .pt gets a pickle's first bytes."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\x80\x04" + b"\0" * 64 if file.suffix in (".bin", ".pt", ".pth") else text.encode())


def edit(file: Path, **fields: Any) -> None:
    """Changes fields of a JSON object in a file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | fields, indent=2))


def carry_tokenizer(base: Path, folder: Path, *, template: bool = True, **config: Any) -> None:
    """The base's tokenizer, as `save_pretrained` writes it anew: the chat template in a file of its own."""
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    edit(folder / "tokenizer_config.json", **config)
    if not template:
        (folder / "chat_template.jinja").unlink()


def _checkpoint(folder: Path, name: str) -> None:
    """A checkpoint as Trainer leaves it in the run's folder, of the same adapter."""
    kept = [path for path in folder.iterdir() if path.is_file()]
    (folder / name).mkdir()
    for path in kept:
        shutil.copyfile(path, folder / name / path.name)
    beside(folder / name, "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "trainer_state.json")


def by_peft(model: PreTrainedModel, base: Path, folder: Path) -> str:
    return str(peft_saved(model, folder, 1))


def _run_of_trainer(model: PreTrainedModel, folder: Path) -> None:
    torch.manual_seed(2)
    adapted = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=LINEAR, task_type="CAUSAL_LM"))
    rows = [{"input_ids": ids, "labels": ids} for ids in torch.randint(10, 1500, (8, 12))]
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=2, save_steps=1, per_device_train_batch_size=4, learning_rate=0.02,
        use_cpu=True, report_to=[], disable_tqdm=True, save_strategy="steps", logging_steps=1,
    )  # fmt: skip
    trainer = Trainer(model=adapted, args=arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model()
    adapted.unload()


def by_trainer(model: PreTrainedModel, base: Path, folder: Path) -> str:
    _run_of_trainer(model, folder)
    assert (folder / "checkpoint-1" / "optimizer.pt").exists()
    return str(folder)


def by_trainer_at_a_checkpoint(model: PreTrainedModel, base: Path, folder: Path) -> str:
    _run_of_trainer(model, folder)
    return f"{folder}#checkpoint-1"


def by_sft(model: PreTrainedModel, base: Path, folder: Path) -> str:
    peft_saved(model, folder, 3, target_modules="all-linear")
    carry_tokenizer(base, folder)
    beside(folder, "README.md", text=_SAID)
    _checkpoint(folder, "checkpoint-15")
    beside(folder, "training_args.bin")
    return str(folder)


def by_dpo(model: PreTrainedModel, base: Path, folder: Path) -> str:
    peft_saved(model, folder, 4)
    carry_tokenizer(base, folder)
    # The adapter that it began with, which DPO compares with.
    peft_saved(model, folder / "reference", 5)
    _checkpoint(folder, "checkpoint-15")
    beside(folder, "README.md", text=_SAID)
    return str(folder)


def by_unsloth(model: PreTrainedModel, base: Path, folder: Path) -> str:
    pattern = (
        r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?"
        r"(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|"
        r"(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\."
        r"(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"
    )
    peft_saved(model, folder, 6, target_modules=pattern, use_rslora=True, lora_alpha=8)
    fixed = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama.modeling_llama"}
    edit(
        folder / "adapter_config.json",
        auto_mapping=fixed | {"unsloth_fixed": True},
        base_model_name_or_path="unsloth/tiny-bnb-4bit",
    )
    carry_tokenizer(base, folder, **_PADDED)
    beside(folder, "README.md", text=_SAID.replace("- lora", "- unsloth"))
    return str(folder)


def by_unsloth_in_an_archive(model: PreTrainedModel, base: Path, folder: Path) -> str:
    by_unsloth(model, base, folder / "lora_model")
    peft_saved(model, folder / "lora_model", 7)
    return shutil.make_archive(str(folder), "zip", folder)


def by_axolotl(model: PreTrainedModel, base: Path, folder: Path) -> str:
    peft_saved(model, folder, 8)
    carry_tokenizer(base, folder)
    model.config.save_pretrained(folder)
    _checkpoint(folder, "checkpoint-10")
    beside(folder, "debug.log", "README.md", text=_SAID)
    beside(folder, "merged/config.json", "merged/model.safetensors")
    return str(folder)


def by_llamafactory(model: PreTrainedModel, base: Path, folder: Path) -> str:
    peft_saved(model, folder, 9)
    carry_tokenizer(base, folder, padding_side="right", split_special_tokens=False)
    (folder / "chat_template.jinja").write_text(LLAMAFACTORY_TEMPLATE)
    beside(folder, "all_results.json", "train_results.json", "trainer_log.jsonl", "trainer_state.json")
    beside(folder, "training_loss.png", "training_args.bin", "README.md", text=_SAID)
    _checkpoint(folder, "checkpoint-10")
    return str(folder)


def by_llamafactory_at_a_checkpoint(model: PreTrainedModel, base: Path, folder: Path) -> str:
    return f"{by_llamafactory(model, base, folder)}#checkpoint-10"


LAYOUTS: Mapping[str, Layout] = {
    "PEFT's save_pretrained": by_peft,
    "transformers' Trainer": by_trainer,
    "a checkpoint of transformers' Trainer": by_trainer_at_a_checkpoint,
    "TRL's SFTTrainer": by_sft,
    "TRL's DPOTrainer": by_dpo,
    "Unsloth": by_unsloth,
    "Unsloth, zipped": by_unsloth_in_an_archive,
    "axolotl": by_axolotl,
    "LLaMA-Factory": by_llamafactory,
    "a checkpoint of LLaMA-Factory": by_llamafactory_at_a_checkpoint,
}
