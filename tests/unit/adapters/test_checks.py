"""What is said of a broken adapter folder: the file, and what was expected."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.checks import check_folder
from adapters.errors import AdapterError
from tests.fakes.adapter_folder import CONFIG, safetensors, write_adapter

Break = Callable[[Path], object]


def config(**fields: object) -> Break:
    return lambda folder: (folder / "adapter_config.json").write_text(json.dumps(CONFIG | fields))


def weights(content: bytes) -> Break:
    return lambda folder: (folder / "adapter_model.safetensors").write_bytes(content)


def only_a_pickle(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


BROKEN: list[tuple[str, Break, str]] = [
    ("no config", lambda folder: (folder / "adapter_config.json").unlink(), r"adapter_config\.json cannot be read"),
    ("config no json", lambda folder: (folder / "adapter_config.json").write_text("{"), "not valid JSON"),
    ("config a list", lambda folder: (folder / "adapter_config.json").write_text("[]"), "must hold a JSON object"),
    ("another kind", config(peft_type="PREFIX_TUNING"), "expected 'LORA'"),
    ("rank zero", config(r=0), "rank r is 0"),
    ("rank true", config(r=True), "rank r is True"),
    ("rank text", config(r="8"), "rank r is '8'"),
    ("rank too high", config(r=17), "rank is 17, but this server takes at most 16"),
    ("rank pattern too high", config(rank_pattern={"q_proj": 32}), "rank is 32"),
    ("no alpha", config(lora_alpha=None), "lora_alpha is None"),
    ("no weights", lambda folder: (folder / "adapter_model.safetensors").unlink(), "does not exist"),
    ("pickle", only_a_pickle, r"adapter_model\.bin is a pickle"),
    ("empty weights", weights(b""), "cut short"),
    ("huge header", weights(b"\xff" * 8 + b"{}"), "cut short"),
    ("header no json", weights(b"\x02" + b"\0" * 7 + b"{]"), "header is not JSON"),
    ("header a list", weights(b"\x02" + b"\0" * 7 + b"[]"), "no JSON object"),
    ("truncated", weights(safetensors({"x.lora_A.weight": 8})[:-1]), "ends at 32 of 31 bytes"),
    ("no lora tensor", weights(safetensors({"weight": 8})), "has no tensor of a LoRA"),
]


@pytest.mark.parametrize(("breaking", "message"), [(b, m) for _, b, m in BROKEN], ids=[name for name, _, _ in BROKEN])
def test_a_broken_folder_is_refused_with_its_own_message(tmp_path: Path, breaking: Break, message: str) -> None:
    folder = write_adapter(tmp_path / "adapter")
    breaking(folder)
    with pytest.raises(AdapterError, match=message):
        check_folder(folder, max_rank=16)


def test_a_whole_adapter_is_summed_up(tmp_path: Path) -> None:
    summary = check_folder(write_adapter(tmp_path / "adapter", r=8), max_rank=8)
    assert (summary.rank, summary.alpha) == (8, 16.0)
    assert summary.modules == {"model.layers.0.self_attn.q_proj"}
