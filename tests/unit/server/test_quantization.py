"""Which quantization a checkpoint can be served with, known before vLLM is imported."""

import ast
import importlib.util
import json
from pathlib import Path

import pytest

from patchbay.core.errors import ConfigError
from patchbay.server.config import ServerConfig
from patchbay.server.preflight import check_start
from patchbay.server.quantization import METHODS, quantization_fault


def _checkpoint(folder: Path, method: str | None) -> Path:
    folder.mkdir(exist_ok=True)
    section = {} if method is None else {"quantization_config": {"quant_method": method}}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **section}))
    return folder


def test_the_names_are_those_of_the_vllm_that_is_installed() -> None:
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        pytest.skip("vLLM is not installed")
    source = Path(found.origin).parent / "model_executor" / "layers" / "quantization" / "__init__.py"
    literal = next(
        node.value.slice
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "QuantizationMethods"
        and isinstance(node.value, ast.Subscript)
    )
    assert set(ast.literal_eval(literal)) == METHODS


@pytest.mark.parametrize(
    ("quantization", "own", "words"),
    [
        ("int4", None, "vLLM has no quantization 'int4'"),
        ("compresed-tensors", None, "did you mean 'compressed-tensors'?"),
        ("awq", None, "reads quantized weights, and these are not"),
        ("gptq", "awq", "cannot read this checkpoint, which is 'awq': leave it out"),
        ("fp8_per_tensor", "compressed-tensors", "is 'compressed-tensors' already: leave it out"),
    ],
)
def test_what_cannot_be_is_told_with_what_to_write(
    tmp_path: Path, quantization: str, own: str | None, words: str
) -> None:
    why = quantization_fault(quantization, _checkpoint(tmp_path / "base", own))
    assert why is not None
    assert words in why
    config = ServerConfig.model_validate({"base": {"model": str(tmp_path / "base"), "quantization": quantization}})
    with pytest.raises(ConfigError, match=r"^base\.quantization: "):
        check_start(config)


@pytest.mark.parametrize(
    ("quantization", "own"),
    [
        ("awq_marlin", "awq"),
        ("gptq", "gptq"),
        ("compressed-tensors", "compressed-tensors"),
        ("int8_per_channel_weight_only", None),
        ("fp8", None),
        ("moe_wna16", "gptq"),
        ("mxfp8", "compressed-tensors"),
    ],
)
def test_what_may_be_is_left_to_vllm(tmp_path: Path, quantization: str, own: str | None) -> None:
    assert quantization_fault(quantization, _checkpoint(tmp_path / "base", own)) is None


def test_a_checkpoint_that_says_it_elsewhere_or_is_not_here_is_left_to_vllm(tmp_path: Path) -> None:
    assert quantization_fault("awq", tmp_path / "none") is None
    folder = _checkpoint(tmp_path / "base", None)
    (folder / "quant_config.json").write_text("{}")
    assert quantization_fault("awq", folder) is None
    (folder / "quant_config.json").unlink()
    (folder / "config.json").write_text("[")
    assert quantization_fault("awq", folder) is None
