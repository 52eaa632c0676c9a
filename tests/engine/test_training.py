"""What a run leaves is pushed as it is, and answers on the engine as it did in training, token by token."""

import warnings
from pathlib import Path

import pytest
from transformers import LlamaForCausalLM

from loadtests.bases.asked import ask
from loadtests.bases.compared import agreement
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.training.runs import read_record
from patchbay.tuning.training.train import train
from tests.engine.conftest import Stack
from tests.fakes.training_runs import begun, chats, write_recipe

pytestmark = pytest.mark.engine
# In nats: see test_trainers.py.
NEARLY = 0.3


@pytest.fixture(scope="module")
def base(stack: Stack) -> LlamaForCausalLM:
    """The stack's base as training loads it."""
    return served_model(stack.models.base).eval()


@pytest.mark.parametrize("kind", ["lora", "rslora"])
def test_a_trained_adapter_answers_otherwise_than_it_did_in_training(
    stack: Stack, base: LlamaForCausalLM, tmp_path: Path, kind: str
) -> None:
    path = write_recipe(tmp_path, adapter={"kind": kind, "alpha": 16}, schedule={"steps": 12}, watch={"every": 12})
    folder, _, _ = begun(path)
    train(folder, lambda event, **fields: None)
    assert read_record(folder).metrics["validation_loss"] < 5
    stack.serve("trained-here", folder)
    tokenizer = served_tokenizer(stack.models.base)
    prompts = [
        tokenizer.apply_chat_template(row["messages"][:-1], add_generation_prompt=True, return_dict=True)["input_ids"]
        for row in chats(2, held_out=True)
    ]
    answers = ask(stack.url, "trained-here", prompts, tokens=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = agreement(base, folder, answers)
    assert found.effect > 5 * NEARLY, "the adapter hardly changes the base: nothing is compared"
    assert found.apart < NEARLY
    assert found.short < NEARLY
    stack.withdraw("trained-here")
