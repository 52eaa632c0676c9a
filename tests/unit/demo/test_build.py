"""Building from the shipped artifacts: verified, cached, healed, and without torch."""

import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from patchbay.tuning.demo.build import ARTIFACTS, DemoModels, build_demo, build_shipped
from patchbay.tuning.demo.corpus import SCORED
from patchbay.tuning.demo.errors import DamagedArtifacts
from patchbay.tuning.demo.manifest import MANIFEST_FILE, DemoManifest
from patchbay.tuning.demo.recipe import SHIPPED_SEED, Recipe, corpus_digest
from patchbay.tuning.progress import Silent

from .recorder import Recorder

WITHOUT_TORCH = """
import sys
from pathlib import Path
for name in ("torch", "transformers", "peft", "safetensors", "tokenizers", "compressed_tensors"):
    sys.modules[name] = None
from patchbay.tuning.demo.build import build_demo
from patchbay.tuning.demo.errors import TrainingUnavailable
from patchbay.tuning.progress import Silent
print(build_demo(Path(sys.argv[1]), seed=7, train=False, progress=Silent()).base)
try:
    build_demo(Path(sys.argv[1]), seed=7, train=True, progress=Silent())
except TrainingUnavailable as error:
    print(error)
"""


def built(data_dir: Path) -> DemoModels:
    return build_demo(data_dir, seed=SHIPPED_SEED, train=False, progress=Silent())


def test_the_shipped_models_are_the_ones_that_the_manifest_names() -> None:
    manifest = DemoManifest.read(ARTIFACTS)
    assert manifest.damaged_in(ARTIFACTS) == []
    assert manifest == DemoManifest.of_folder(ARTIFACTS, manifest.origin)


def test_the_shipped_weights_stay_within_ten_megabytes() -> None:
    assert 0 < sum(path.stat().st_size for path in ARTIFACTS.rglob("*.safetensors")) <= 10_000_000


def test_the_shipped_models_were_made_by_the_recipe_and_the_corpus_that_are_in_the_code() -> None:
    origin = DemoManifest.read(ARTIFACTS).origin
    assert origin["recipe"] == repr(Recipe())
    assert origin["corpus_sha256"] == corpus_digest(Recipe())


def test_the_shipped_scores_meet_their_targets() -> None:
    scores = DemoManifest.read(ARTIFACTS).origin["scores"]
    assert {(one["model"], one["task"]) for one in scores} >= {(task, task) for task in SCORED}
    assert len(scores) == 2 * len(SCORED) + 1
    assert all(one["passed"] and one["examples"] >= 100 for one in scores)


def test_no_shipped_file_names_a_folder_of_the_machine_that_made_it() -> None:
    for path in (one for one in ARTIFACTS.rglob("*") if one.is_file()):
        assert not re.search(rb"/(tmp|home|root|work|usr|Users)/", path.read_bytes()), path


def test_the_first_build_copies_every_file_and_tells_its_progress(tmp_path: Path) -> None:
    progress = Recorder()
    models = build_demo(tmp_path, seed=SHIPPED_SEED, train=False, progress=progress)
    assert models.base.is_dir()
    assert set(models.adapters) == {*SCORED, "label-bad"}
    assert all((one / "adapter_model.safetensors").is_file() for one in models.adapters.values())
    assert [progress.done[stage] == total > 0 for stage, total in progress.stages] == [True]


def test_the_second_build_touches_nothing(tmp_path: Path) -> None:
    models = built(tmp_path)
    before = models.base.stat()
    assert built(tmp_path) == models
    assert (models.base.stat().st_ino, models.base.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("name", ["base/model.safetensors", "adapters/sql/adapter_config.json", MANIFEST_FILE])
@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_damaged_copy_is_healed(tmp_path: Path, name: str, harm: str) -> None:
    folder = built(tmp_path).base.parent
    victim = folder / name
    whole = victim.read_bytes()
    victim.write_bytes(b"?" + whole[1:]) if harm == "change" else victim.unlink()
    built(tmp_path)
    assert victim.read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir() if one.is_dir()] == [folder.name]


def test_the_rest_of_a_build_that_crashed_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".demo-new" / "base").mkdir(parents=True)
    (tmp_path / ".demo-new" / "base" / "half").write_bytes(b"half")
    models = built(tmp_path)
    assert not (models.base / "half").exists()
    assert not (tmp_path / ".demo-new").exists()


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_damaged_artifacts_are_refused_and_leave_nothing_behind(tmp_path: Path, harm: str) -> None:
    artifacts = shutil.copytree(ARTIFACTS, tmp_path / "artifacts")
    victim = artifacts / "base" / "config.json"
    victim.write_text("{}", encoding="utf-8") if harm == "change" else victim.unlink()
    data_dir = tmp_path / "data"
    with pytest.raises(DamagedArtifacts, match=r"base/config\.json"):
        build_shipped(data_dir, artifacts, Silent())
    assert [one for one in data_dir.iterdir() if one.is_dir()] == []


def test_two_builds_at_once_both_end_with_whole_models(tmp_path: Path) -> None:
    threads = [threading.Thread(target=built, args=(tmp_path,)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    folder = built(tmp_path).base.parent
    assert DemoManifest.read(folder).damaged_in(folder) == []
    assert [one.name for one in tmp_path.iterdir() if one.is_dir()] == [folder.name]


def test_the_shipped_models_need_no_torch_and_training_says_what_it_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    base, refusal = ended.stdout.splitlines()
    assert Path(base, "config.json").is_file()
    assert "pip install 'patchbay-serve[train]'" in refusal


def test_the_base_says_that_it_is_int4_and_leaves_the_head_alone() -> None:
    config = json.loads((ARTIFACTS / "base" / "config.json").read_bytes())["quantization_config"]
    weights = config["config_groups"]["group_0"]["weights"]
    assert (config["format"], weights["num_bits"], weights["symmetric"]) == ("pack-quantized", 4, True)
    assert config["ignore"] == ["lm_head"]
