"""Adapters as ten trainers leave them pass the gate, with nothing of theirs lost. How they answer is tested on the
engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.publish import PushRequest
from patchbay.tuning.bases.quantize import load_dequantized
from patchbay.tuning.demo.build import ARTIFACTS
from patchbay.tuning.demo.recipe import Shape
from tests.fakes.installation import Installation
from tests.fakes.trainer_layouts import LAYOUTS

BASE = ARTIFACTS / "base"


@pytest.fixture(scope="module")
def base() -> LlamaForCausalLM:
    config = LlamaConfig.from_pretrained(BASE)
    del config.quantization_config
    model = LlamaForCausalLM(config)
    load_dequantized(BASE, model, Shape().group_size)
    return model.eval()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path / "desk", max_rank=16) as made:
        yield made


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_trainer_leaves_is_refused_or_its_rubbish_is_stored(
    desk: Installation, base: LlamaForCausalLM, tmp_path: Path, layout: str
) -> None:
    source = LAYOUTS[layout](base, BASE, tmp_path / "out")
    fits = BaseLayout.of_folder(BASE)
    pushed = desk.publisher.push(PushRequest("sql", source, authority="operator"), actor="ml", base=fits)
    files = {file.name for file in pushed.revision.draft.files}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= files
    assert not any(name.endswith((".bin", ".pt", ".pth", ".png", ".log", ".jsonl")) for name in files)
    assert len(pushed.revision.draft.targets) == 7
