"""Ten faults, planted between the trainer and the replica, are each named; good adapters are never refused."""

import asyncio
import copy
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tokenizers import normalizers

from patchbay.adapters.contents import WEIGHTS_FILE
from patchbay.adapters.parity.comparing import apart, flat
from patchbay.adapters.parity.reading import read_parity
from patchbay.core.errors import AdapterRejected
from patchbay.server.engine import EngineLora
from patchbay.tuning.bases.loading import served_tokenizer
from patchbay.tuning.demo.corpus import seeded
from tests.fakes.peft_replica import (
    ADAPTERS,
    BASE,
    LINEARS,
    PeftScorer,
    Workshop,
    change_config,
    demo_rows,
    parameters_of_blocks,
)

GOOD = 100
TASKS = ("label", "safety", "json")
_ROWS = 6


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture(params=TASKS[:2])
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """One of the demo's adapters, without a parity file, and its task."""
    return Path(shutil.copytree(ADAPTERS / request.param, tmp_path / "adapter")), request.param


def other_template(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    tokenizer = served_tokenizer(BASE)
    tokenizer.chat_template = "{% for message in messages %}### {{ message.role }}: {{ message.content }}\n{% endfor %}"
    workshop.write(folder, demo_rows(task, _ROWS), tokenizer=tokenizer)
    return None


def other_tokenizer(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    tokenizer = served_tokenizer(BASE)
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    workshop.write(folder, demo_rows(task, _ROWS), tokenizer=tokenizer)
    return None


def base_in_full_precision(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    """Trained over weights as they were before their rounding to int4: anywhere within half a step."""
    torch.manual_seed(0)
    base = copy.deepcopy(workshop.trainer)
    for parameter in parameters_of_blocks(base):
        groups = parameter.data.reshape(parameter.shape[0], -1, 32)
        step = groups.abs().amax(-1, keepdim=True) / 7.5
        parameter.data = (groups + (torch.rand_like(groups) - 0.5) * step).reshape(parameter.shape)
    workshop.write(folder, demo_rows(task, _ROWS), base=base)
    return None


def alpha_doubled(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    workshop.write(folder, demo_rows(task, _ROWS))
    alpha = json.loads((folder / "adapter_config.json").read_text())["lora_alpha"]
    change_config(folder, lora_alpha=2 * alpha)
    return None


def rslora_lost(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    settings = json.loads((folder / "adapter_config.json").read_text())
    change_config(folder, use_rslora=True, lora_alpha=settings["lora_alpha"] / settings["r"] ** 0.5)
    workshop.write(folder, demo_rows(task, _ROWS))
    change_config(folder, use_rslora=False)
    return None


def without(folder: Path, part: str) -> None:
    tensors = load_file(folder / WEIGHTS_FILE)
    save_file({name: tensor for name, tensor in tensors.items() if part not in name}, folder / WEIGHTS_FILE)


def kind_missing(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    workshop.write(folder, demo_rows(task, _ROWS))
    without(folder, ".v_proj.")
    return None


def layer_missing(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    workshop.write(folder, demo_rows(task, _ROWS))
    without(folder, ".layers.1.")
    return None


def merged_base(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    workshop.write(folder, demo_rows(task, _ROWS))
    merged = PeftModel.from_pretrained(copy.deepcopy(workshop.trainer), str(folder)).merge_and_unload()
    return PeftScorer(merged.to(torch.bfloat16), workshop.tokenizer)


def prompt_cut(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    workshop.write(folder, demo_rows(task, _ROWS), max_length=12)
    return None


def weights_permuted(workshop: Workshop, folder: Path, task: str) -> PeftScorer | None:
    """The layers' weights in the opposite order, under the names and settings of before."""
    workshop.write(folder, demo_rows(task, _ROWS))
    tensors = load_file(folder / WEIGHTS_FILE)
    turned = {
        re.sub(r"layers\.(\d)", lambda found: f"layers.{3 - int(found[1])}", name): tensor
        for name, tensor in tensors.items()
    }
    save_file(turned, folder / WEIGHTS_FILE)
    return None


FAULTS: dict[str, tuple[Callable[[Workshop, Path, str], PeftScorer | None], str]] = {
    "another chat template": (other_template, "template"),
    "another tokenizer": (other_tokenizer, "tokenizer"),
    "a base in full precision": (base_in_full_precision, "base"),
    "alpha doubled": (alpha_doubled, "scale"),
    "the flag of rsLoRA lost": (rslora_lost, "scale"),
    "a kind of module missing": (kind_missing, "modules"),
    "a layer missing": (layer_missing, "modules"),
    "a merged base": (merged_base, "merge"),
    "a prompt cut off": (prompt_cut, "truncation"),
    "other weights": (weights_permuted, "weights"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_served_or_called_by_another_name(
    workshop: Workshop, adapter: tuple[Path, str], fault: str
) -> None:
    plant, cause = FAULTS[fault]
    scorer = plant(workshop, *adapter)
    words = workshop.refusal(adapter[0], scorer=scorer)
    assert f": {cause}: " in words, words


def applied_by(factor: float) -> Callable[[Workshop, Path], PeftScorer]:
    def plant(workshop: Workshop, folder: Path) -> PeftScorer:
        workshop.write(folder, demo_rows("safety", _ROWS))
        scorer = workshop.scorer.copy()
        scorer.factor = factor
        return scorer

    return plant


def merged_at_the_trainers(workshop: Workshop, folder: Path) -> PeftScorer:
    merged = PeftModel.from_pretrained(copy.deepcopy(workshop.trainer), str(folder)).merge_and_unload()
    workshop.write(folder, demo_rows("safety", _ROWS), base=merged)
    return workshop.scorer


def another_base(workshop: Workshop, folder: Path) -> PeftScorer:
    workshop.write(folder, demo_rows("safety", _ROWS))
    torch.manual_seed(0)
    other = workshop.scorer.copy()
    for parameter in parameters_of_blocks(other.model):
        torch.nn.init.normal_(parameter, std=0.05)
    return other


def short_context(workshop: Workshop, folder: Path) -> PeftScorer:
    workshop.write(folder, demo_rows("safety", _ROWS))
    scorer = workshop.scorer.copy()
    scorer.max_length = 15
    return scorer


MORE: dict[str, tuple[Callable[[Workshop, Path], PeftScorer], str]] = {
    "an engine that halves every scale": (applied_by(0.5), "scale: the adapter's effect here is 0."),
    "an engine that applies nothing": (applied_by(0.0), "modules: the adapter moves what the base says by 0.000"),
    "a trainer whose base was merged": (merged_at_the_trainers, "merge: the trainer's base gave"),
    "a base with other weights": (another_base, "another base model (the same folder, by its digest)"),
    "a context shorter than a row": (short_context, "and this replica takes 15"),
}


@pytest.mark.parametrize("fault", MORE)
def test_another_fault_is_served_or_told_in_other_words(workshop: Workshop, tmp_path: Path, fault: str) -> None:
    folder = Path(shutil.copytree(ADAPTERS / "safety", tmp_path / "adapter"))
    plant, words = MORE[fault]
    assert words in workshop.refusal(folder, scorer=plant(workshop, folder))


def test_a_sound_adapter_is_refused(workshop: Workshop, adapter: tuple[Path, str]) -> None:
    folder, task = adapter
    workshop.write(folder, demo_rows(task, _ROWS))
    assert (workshop.prove(folder) or "").startswith(f"parity: {_ROWS} rows")


def random_settings(rng: random.Random) -> dict[str, Any]:
    """Settings of an adapter that somebody may train."""
    targets = rng.choice([LINEARS, LINEARS[:4], LINEARS[4:], ("q_proj", "v_proj"), (rng.choice(LINEARS),)])
    rank = rng.choice([1, 2, 4, 8, 16])
    settings: dict[str, Any] = {
        "r": rank,
        "lora_alpha": rank * rng.choice([0.5, 1, 2, 4]),
        "target_modules": list(targets),
    }
    if rng.random() < 0.3:
        settings["use_rslora"] = True
    if rng.random() < 0.3:
        settings |= {"rank_pattern": {targets[0]: 2}, "alpha_pattern": {targets[-1]: 3.0}}
    if rng.random() < 0.2:
        settings["layers_to_transform"] = [rng.randrange(4)]
    return settings


def test_a_good_adapter_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    rng, rows = seeded("parity"), [row for task in TASKS for row in demo_rows(task, 1)]
    refused: list[tuple[dict[str, Any], str]] = []
    used = []
    for seed in range(GOOD):
        settings = random_settings(rng)
        folder = workshop.train(tmp_path / str(seed), seed, **settings)
        workshop.write(folder, rows)
        try:
            used.append(share_of_bound(workshop.prove(folder) or ""))
        except AdapterRejected as error:
            refused.append((settings, error.message))
        shutil.rmtree(folder)
    assert not refused
    # The page says so.
    assert max(used) < 0.5


def share_of_bound(words: str) -> float:
    """How much of what is allowed an adapter differs by."""
    found = re.search(r"([\d.]+) nats apart where ([\d.]+) is noise", words)
    assert found is not None, words
    return float(found[1]) / float(found[2])


def test_a_doubled_alpha_is_seen_in_answers_that_are_known_by_heart(workshop: Workshop, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ADAPTERS / "json", tmp_path / "adapter"))
    workshop.write(folder, demo_rows("json", _ROWS))
    file = read_parity(folder)
    assert file is not None
    doubled = workshop.scorer.copy()
    doubled.factor = 2.0
    lora = EngineLora("json@1-0123456789ab", 1, folder)
    moved = [asyncio.run(doubled.logprobs(row.ids, lora)) for row in file.rows]
    answers = [
        apart(now[row.start - 1 :], row.adapted[row.start - 1 :]) for now, row in zip(moved, file.rows, strict=True)
    ]
    assert sum(answers) / len(answers) < 0.02
    assert apart(flat(moved), flat([row.adapted for row in file.rows])) > 0.4
