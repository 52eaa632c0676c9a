"""The demo's real base: imported, and refused where its weights are not those that the adapters were trained over."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

from patchbay.adapters.digest import file_hash
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.demo.english.build import import_demo_base, is_base
from patchbay.tuning.demo.english.corpus import english_examples
from patchbay.tuning.demo.english.recipe import EnglishRecipe
from patchbay.tuning.demo.english.train import encoded, train_adapter
from patchbay.tuning.demo.errors import DemoError
from patchbay.tuning.demo.recipe import AdapterRecipe, Schedule
from patchbay.tuning.progress import Silent
from tests.unit.bases.tiny_gguf import BASE, tiny_model, write_gguf


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> EnglishRecipe:
    file = write_gguf(tiny_model(), tmp_path_factory.mktemp("gguf") / "tiny.gguf")
    return replace(EnglishRecipe(), source=str(file), gguf_sha256=file_hash(file))


def test_a_base_with_the_weights_that_the_manifest_names_is_taken_and_others_are_not(
    recipe: EnglishRecipe, tmp_path: Path
) -> None:
    with pytest.raises(DemoError, match="trained over others") as caught:
        import_demo_base(recipe, tmp_path / "base", "0" * 64, Silent())
    assert "--tiny" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    weights = str(caught.value).split("SHA-256 ")[1].split(",")[0]
    import_demo_base(recipe, tmp_path / "base", weights, Silent())
    assert is_base(tmp_path / "base", weights)
    assert not is_base(tmp_path / "base", "0" * 64)


def test_a_base_that_cannot_be_had_says_so_and_what_works_without(recipe: EnglishRecipe, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="cannot be imported") as caught:
        import_demo_base(replace(recipe, source="nothing.gguf"), tmp_path / "base", "0" * 64, Silent())
    assert "--tiny" in str(caught.value)


def test_only_the_answer_and_the_token_that_ends_it_are_learnt() -> None:
    tokenizer = served_tokenizer(BASE)
    [example] = english_examples("sql", 7, 1, held_out=False)
    [sequence] = encoded(tokenizer, [example])
    assert tokenizer.decode(sequence.ids[sequence.start :]) == example.answer + tokenizer.eos_token
    assert example.messages[0].content in tokenizer.decode(sequence.ids[: sequence.start])


def test_an_adapter_learns_and_leaves_the_base_alone() -> None:
    class Losses(Silent):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def advance(self, count: int = 1, *, note: str = "") -> None:
            self.seen.append(float(note.split()[1]))

    losses = Losses()
    model = served_model(BASE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapter = AdapterRecipe("sql", "sql", Schedule(12, batch=4, rate=5e-3, warmup=2), 48, rank=4)
    tuned = train_adapter(model, served_tokenizer(BASE), adapter, 7, losses)
    assert sum(losses.seen[-3:]) < 0.8 * sum(losses.seen[:3])
    after = tuned.unload().state_dict()
    assert all((before[name] == after[name]).all() for name in before)
