"""The comparison of an engine's answers with PEFT's, and the bases that it is made on."""

import math
from pathlib import Path

import pytest
import torch

from loadtests.bases.__main__ import all_kinds, cells_of
from loadtests.bases.asked import prompts
from loadtests.bases.compared import GreedyAnswer, compared, scores
from loadtests.bases.making import KINDS, AdapterRecipe, BaseKind, load_base, make_adapter, make_base
from loadtests.tables import put_into_page
from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import check_folder

HALF, QUARTER = math.log(0.5), math.log(0.25)


def answer(*tokens: int, logprobs: tuple[float, ...]) -> GreedyAnswer:
    return GreedyAnswer((1, 2), tokens, logprobs)


def test_an_answer_is_compared_by_the_choice_the_shortfall_the_distance_and_the_effect() -> None:
    expected = torch.tensor([[HALF, QUARTER, QUARTER], [QUARTER, QUARTER, HALF]])
    plain = torch.tensor([[HALF, QUARTER, QUARTER], [QUARTER - 3, QUARTER, HALF]])
    found = compared([answer(0, 1, logprobs=(HALF, QUARTER - 0.5))], [expected], [plain])
    assert (found.tokens, found.same) == (2, 1)
    assert found.short == pytest.approx(math.log(2))
    assert found.apart == pytest.approx(0.5)
    assert found.effect == pytest.approx(3)
    assert cells_of(found) == ("1 of 2", "0.6931", "0.5000", "3.0")


def test_the_page_has_no_place_for_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert "| a | 1 |" in put_into_page(page, "bases", "| a | 1 |")


def test_prompts_are_tokens_of_the_vocabulary_and_all_different() -> None:
    found = prompts(5)
    assert len(set(found)) == 5
    assert all(0 <= token < 1536 for prompt in found for token in prompt)


@pytest.mark.parametrize("name", [*KINDS, "qwen3 int4", "phi3 int4"])
def test_a_base_of_each_kind_takes_adapters_that_change_it_and_that_pass_the_gate(tmp_path: Path, name: str) -> None:
    kind = next(one for one in all_kinds() if one.title == name)
    base = make_base(kind, tmp_path / "base")
    layout = BaseLayout.of_folder(tmp_path / "base")
    told = answer(5, 6, 7, logprobs=(0.0, 0.0, 0.0))
    before = scores(base, told)
    for at, recipe in enumerate(kind.recipes()):
        adapter = make_adapter(base, recipe, tmp_path / str(at))
        if recipe.name == "linear layers":
            assert check_folder(adapter, max_rank=8, base=layout).rank == 4
    assert torch.equal(scores(base, told), before), "making an adapter changed the base"
    assert torch.equal(scores(load_base(tmp_path / "base"), told), before)


def test_making_an_adapter_is_the_same_each_time(tmp_path: Path) -> None:
    base = make_base(BaseKind("qwen3"), tmp_path / "base")
    recipe = AdapterRecipe("one", {"target_modules": ["q_proj"]})
    one, two = (make_adapter(base, recipe, tmp_path / name) / "adapter_model.safetensors" for name in "ab")
    assert one.read_bytes() == two.read_bytes()
