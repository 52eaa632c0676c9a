"""Adapters as trainers leave them are pushed, promoted, and answer on the engine as PEFT does, token by token."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from loadtests.bases.asked import ask
from loadtests.bases.compared import agreement
from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.publish import Publisher, PushRequest
from patchbay.registry.registry import Registry
from patchbay.tuning.bases.quantize import load_dequantized
from patchbay.tuning.demo.recipe import Shape
from tests.engine.conftest import Stack
from tests.engine.test_endpoints import REQUEST, TICKET
from tests.fakes.trainer_layouts import LAYOUTS

pytestmark = pytest.mark.engine
# In nats, of effects of 1.5 to 20. The engine computes in bfloat16, PEFT in float32: at most 0.18 apart were measured,
# and of two tokens that are nearly as likely (0.05), either is chosen.
NEARLY = 0.3


@pytest.fixture(scope="module")
def base(stack: Stack) -> LlamaForCausalLM:
    """The stack's base in float32, with the numbers that its int4 stands for."""
    config = LlamaConfig.from_pretrained(stack.models.base)
    del config.quantization_config
    model = LlamaForCausalLM(config)
    load_dequantized(stack.models.base, model, Shape().group_size)
    return model.eval()


def asked(base: Path) -> list[list[int]]:
    """Tickets and requests of the demo's tasks, as chats: the tokens."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    chats = [[{"role": "user", "content": text}] for text in (TICKET, REQUEST)]
    return [tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"] for chat in chats]


def push(stack: Stack, name: str, source: str) -> Any:
    settings = stack.registry_settings
    layout = BaseLayout.of_folder(stack.models.base)
    with Registry.open(settings.url.get_secret_value()) as registry:
        publisher = Publisher(registry, ArtifactStore.open(settings.artifacts), settings, max_rank=16)
        return publisher.push(PushRequest(name, source, authority="operator"), actor="test", base=layout)


def loaded_by_peft(source: str) -> Path:
    folder, _, pick = source.partition("#")
    found = Path(folder) / pick
    return found if found.is_dir() else found.with_suffix("") / "lora_model"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_adapter_as_a_trainer_leaves_it_is_refused_or_answers_otherwise_than_peft(
    stack: Stack, base: LlamaForCausalLM, tmp_path: Path, layout: str
) -> None:
    name = "trained-elsewhere"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = LAYOUTS[layout](base, stack.models.base, tmp_path / "out")
    pushed = push(stack, name, source)
    assert not any("adapter_model" in left for left in pushed.left_out)
    stack.promote(pushed.revision.name)
    answers = ask(stack.url, name, asked(stack.models.base), tokens=16)
    found = agreement(base, loaded_by_peft(source), answers)
    assert found.effect > 5 * NEARLY, "the adapter hardly changes the base: nothing is compared"
    assert found.tokens == 32
    assert found.apart < NEARLY
    # Two log-probabilities are that near to PEFT's: the likelier of two tokens may be the other one.
    assert found.short < NEARLY
    assert found.same >= 28
