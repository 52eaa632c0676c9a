"""The demo on its real base: its adapters are what their manifest says, and its base is checked."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.yaml_text import parse_yaml
from patchbay.tuning.demo.english.build import ARTIFACTS, english_models, weights_of
from patchbay.tuning.demo.english.corpus import ENGLISH_TASKS, english_digest
from patchbay.tuning.demo.english.recipe import EnglishRecipe
from patchbay.tuning.demo.manifest import DemoManifest


def test_the_shipped_adapters_are_the_ones_that_the_manifest_names() -> None:
    manifest = DemoManifest.read(ARTIFACTS)
    assert manifest.damaged_in(ARTIFACTS) == []
    assert manifest == DemoManifest.of_folder(ARTIFACTS, manifest.origin)


def test_the_shipped_adapters_were_made_by_the_recipe_and_the_corpus_that_are_in_the_code() -> None:
    origin, recipe = DemoManifest.read(ARTIFACTS).origin, EnglishRecipe()
    assert origin["recipe"] == repr(recipe)
    assert origin["corpus_sha256"] == english_digest(recipe.seed, max(one.examples for one in recipe.adapters))
    assert origin["base"]["gguf_sha256"] == recipe.gguf_sha256
    assert len(weights_of(DemoManifest.read(ARTIFACTS))) == 64


def test_the_shipped_weights_stay_within_twenty_five_megabytes() -> None:
    assert 0 < sum(path.stat().st_size for path in ARTIFACTS.rglob("*.safetensors")) <= 25_000_000


def test_no_shipped_file_names_a_folder_of_the_machine_that_made_it() -> None:
    for path in (one for one in ARTIFACTS.rglob("*") if one.is_file()):
        assert not re.search(rb"/(tmp|home|root|work|usr|Users)/", path.read_bytes()), path


def test_the_configuration_names_every_adapter_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    done = CliRunner().invoke(build_app(), ["demo", "config", "--english"])
    assert not (tmp_path / "data").exists()
    assert "`patchbay demo build --english` puts them there" in done.stderr
    sections = parse_yaml(done.stdout)
    assert sections["base"]["model"] == str(english_models(tmp_path / "data").base)
    assert set(sections["adapters"]) == {*ENGLISH_TASKS, "label-bad"}
