"""A folded base on an engine of its own, as the command says that it is served, and adapters for its embedding and its
head: all of them answer as PEFT does, token by token. The wide table is made by `make bases`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from loadtests.bases.asked import ask, prompts
from loadtests.bases.compared import Agreement, agreement
from loadtests.bases.making import AdapterRecipe, BaseKind, load_base, make_adapter, make_base
from loadtests.bases.running import ServedBase, served_base
from patchbay.adapters.commands.app import app

pytestmark = pytest.mark.engine
# In nats. Both compute in float32: what is left are sums in another order.
NEARLY = 0.01
DORA = AdapterRecipe(
    "DoRA", {"use_dora": True, "target_modules": ["q_proj", "down_proj"], "modules_to_save": ["lm_head"]}
)
OWN = {
    "head": AdapterRecipe("head", {"target_modules": ["v_proj", "lm_head"]}),
    "embedding": AdapterRecipe("embedding", {"target_modules": ["v_proj", "embed_tokens"]}),
    "both": AdapterRecipe("both", {"target_modules": ["gate_proj", "embed_tokens", "lm_head"], "use_rslora": True}),
}


@dataclass(frozen=True)
class FoldedStack:
    """A stack that serves a folded base. `old`: what it was folded from, as PEFT has it; `new`: the folded one."""

    served: ServedBase
    old: Any
    new: Any
    dora: Path
    name: str
    own: dict[str, Path]


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FoldedStack]:
    folder = tmp_path_factory.mktemp("bases")
    old = make_base(BaseKind("qwen3"), folder / "base")
    dora = make_adapter(old, DORA, folder / "dora")
    environment = {"PATCHBAY_DATA_DIR": str(folder / "data"), "PATCHBAY_REGISTRY": "", "PATCHBAY_ARTIFACTS": ""}
    command = ["push", str(dora), "--name", "desk", "--base", str(folder / "base"), "--fold", str(folder / "new")]
    done = CliRunner().invoke(app, [*command, "--json"], env=environment)
    assert done.exit_code == 0, done.output
    section = yaml.safe_load(json.loads(done.stdout)["config"])["base"]
    new = load_base(folder / "new")
    own = {name: make_adapter(new, recipe, folder / name) for name, recipe in OWN.items()}
    with served_base(folder / "new", folder / "stack", base=section, dtype="float32") as served:
        yield FoldedStack(served, old, new, dora, section["name"], own)


def assert_agrees(found: Agreement) -> None:
    assert found.effect > 100 * NEARLY, "the adapter hardly changes the base: nothing is compared"
    assert found.apart < NEARLY
    assert found.short < NEARLY
    assert found.same >= found.tokens - 1


def test_a_folded_dora_answers_otherwise_than_peft_with_it_on_the_old_base(folded: FoldedStack) -> None:
    answers = ask(folded.served.url, folded.name, prompts())
    found = agreement(folded.old, folded.dora, answers)
    # The new base is in bfloat16, as the old one: each changed weight was rounded once.
    assert found.effect > 1
    assert found.apart < 0.1
    assert found.same >= found.tokens - 2
    assert agreement(folded.new, None, answers).apart < NEARLY


@pytest.mark.parametrize("name", OWN)
def test_a_lora_on_the_embedding_or_the_head_is_served_otherwise_than_by_peft(folded: FoldedStack, name: str) -> None:
    folded.served.serve(name, str(folded.own[name]))
    assert_agrees(agreement(folded.new, folded.own[name], ask(folded.served.url, name, prompts())))
    assert agreement(folded.new, None, ask(folded.served.url, folded.name, prompts())).apart < NEARLY
