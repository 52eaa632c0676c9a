"""The gate: every kind of broken adapter is refused with its own message, and leaves nothing behind."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.admission.base import BaseLayout
from adapters.admission.gate import Limits, check_folder
from adapters.errors import AdapterError
from server.staging import Staging
from tests.fakes.adapter_folder import CONFIG, MODULE, SHAPES, safetensors, with_header, write_adapter, write_base

Break = Callable[[Path], object]
DEMO = Path(__file__).parents[3] / "adapters" / "demo" / "artifacts"
A, B = f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"
SIZE = 4 * 8 * (4 + 6)


def config(**fields: Any) -> Break:
    return lambda folder: (folder / "adapter_config.json").write_text(json.dumps(CONFIG | fields))


def raw_config(text: str | bytes) -> Break:
    content = text if isinstance(text, bytes) else text.encode()
    return lambda folder: (folder / "adapter_config.json").write_bytes(content)


def weights(content: bytes) -> Break:
    return lambda folder: (folder / "adapter_model.safetensors").write_bytes(content)


def shapes(changes: dict[str, tuple[int, ...]], *, without: str = "", **how: Any) -> Break:
    kept = {name: shape for name, shape in SHAPES.items() if name != without}
    return weights(safetensors(kept | changes, **how))


def header(**changes: Any) -> Break:
    """Both tensors with `changes` to lora_A's entry; a change to None takes the field away."""
    entry = {"dtype": "F32", "shape": [8, 4], "data_offsets": [0, 128]} | changes
    first = {key: value for key, value in entry.items() if value is not None}
    second = {"dtype": "F32", "shape": [6, 8], "data_offsets": [128, SIZE]}
    return weights(with_header({A: first, B: second}, b"\1" * SIZE))


def add(name: str, content: bytes = b"x") -> Break:
    return lambda folder: (folder / name).write_bytes(content)


def remove(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def nested_pickle(folder: Path) -> None:
    (folder / "more").mkdir()
    add("more/a.pt")(folder)


def twice() -> bytes:
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    return with_header(f'{{"x":{entry},"x":{entry}}}'.encode(), b"\1" * 4)


def one_value(bits: bytes) -> bytes:
    whole = safetensors(SHAPES)
    return whole[: -len(bits)] + bits


def zero_b() -> bytes:
    return safetensors(SHAPES)[: -4 * 6 * 8] + b"\0" * (4 * 6 * 8)


GOOD = safetensors(SHAPES)
BROKEN: dict[str, tuple[Break, str]] = {
    "no config": (remove("adapter_config.json"), r"adapter_config\.json cannot be read"),
    "config cut short": (raw_config("{"), "not valid JSON"),
    "config not UTF-8": (raw_config(b'{"r": "\xff"}'), "not valid JSON"),
    "config nested deeply": (raw_config("[" * 200_000), "not valid JSON"),
    "config a list": (raw_config("[]"), "must hold a JSON object"),
    "config huge": (raw_config(" " * 1_100_000), "larger than 1048576 bytes"),
    "another kind of adapter": (config(peft_type="PREFIX_TUNING"), "expected 'LORA'"),
    "rank zero": (config(r=0), "rank r is 0"),
    "rank true": (config(r=True), "rank r is True"),
    "rank a text": (config(r="8"), "rank r is '8'"),
    "rank too high": (config(r=17), "rank is 17, but this server takes at most 16"),
    "rank pattern too high": (config(rank_pattern={"q_proj": 32}), "rank is 32"),
    "rank pattern no expression": (config(rank_pattern={"(": 8}), "no regular expression"),
    "rank pattern a list": (config(rank_pattern=[8]), "rank_pattern must be a mapping"),
    "rank other than the tensors'": (config(r=4), "is 8 in lora_A and 8 in lora_B, expected 4"),
    "no alpha": (config(lora_alpha=None), "lora_alpha is None"),
    "alpha NaN": (config(lora_alpha=float("nan")), "lora_alpha is nan"),
    "alpha pattern infinite": (config(alpha_pattern={"q_proj": float("inf")}), "alpha_pattern of q_proj is inf"),
    "no targets": (config(target_modules=[]), "target_modules must be"),
    "unknown target": (config(target_modules=["q_proj", "conv"]), "no target module conv"),
    "DoRA": (config(use_dora=True), "DoRA cannot be served"),
    "LoRA bias": (config(lora_bias=True), "a LoRA bias cannot be served"),
    "biases": (config(bias="all"), "bias is 'all'"),
    "modules to save": (config(modules_to_save=["lm_head"]), "modules saved whole"),
    "activated LoRA": (config(alora_invocation_tokens=[1]), "activated LoRA cannot"),
    "PiSSA": (config(init_lora_weights="pissa"), "changes the base's weights"),
    "no weights": (remove("adapter_model.safetensors"), "does not exist"),
    "a pickle": (add("adapter_model.bin"), r"adapter_model\.bin is a pickle"),
    "a pickle in a folder": (nested_pickle, r"more/a\.pt is a pickle"),
    "a link": (lambda f: (f / "README.md").symlink_to("/etc/passwd"), "README.md is a link"),
    "a linked folder": (lambda f: (f / "more").symlink_to("/etc"), "more is a link"),
    "a pipe": (lambda f: os.mkfifo(f / "pipe"), "neither a file nor a folder"),
    "too large": (add("notes.txt", b"x" * 5000), "at most 20 of 4000 are taken"),
    "too many files": (lambda f: [add(f"{n}.txt")(f) for n in range(20)], "has 22 files"),
    "empty weights": (weights(b""), "cut short"),
    "huge header": (weights(b"\xff" * 8 + b"{}"), "header does not fit"),
    "header not JSON": (weights(with_header(b"{]", b"")), "header is not JSON"),
    "header not UTF-8": (weights(with_header(b'{"\xff": 1}', b"")), "header is not JSON"),
    "header nested deeply": (weights(with_header(b'{"a":' + b"[" * 3000, b"")), "header is not JSON"),
    "header a list": (weights(with_header(b"[]", b"")), "no JSON object"),
    "a tensor twice": (weights(twice()), "a name occurs twice"),
    "cut short": (weights(GOOD[:-1]), "is cut short"),
    "bytes after the end": (weights(GOOD + b"x"), "bytes after its last tensor"),
    "overlap": (header(shape=[16, 4], data_offsets=[0, 256]), "overlaps the one before"),
    "gap": (header(shape=[4, 4], data_offsets=[0, 64]), "leaves a gap"),
    "no dtype": (header(dtype=None), "must have a dtype"),
    "unknown dtype": (header(dtype="F12"), "unknown dtype 'F12'"),
    "shape and extent differ": (header(shape=[8, 5]), "has 128 bytes of F32"),
    "negative shape": (header(shape=[-8, -4]), "lists of whole numbers"),
    "offsets of three": (header(data_offsets=[0, 1, 2]), "lists of whole numbers"),
    "no lora_B": (shapes({}, without=B), "has no lora_B"),
    "another tensor": (shapes({"lm_head.weight": (2, 2)}), "lm_head.weight is no tensor of a LoRA"),
    "no tensors": (weights(with_header({}, b"")), "no tensor at all"),
    "doubles": (shapes({}, dtype="F64", size=8), "is F64, expected one of F32, F16, BF16"),
    "whole numbers": (shapes({}, dtype="I32"), "is I32"),
    "three dimensions": (shapes({A: (8, 4, 1)}), "expected two dimensions"),
    "another base's width": (shapes({A: (8, 5)}), "takes 5 and gives 6 numbers in the adapter, but 4 and 6"),
    "another base's module": (
        weights(safetensors({name.replace("layers.0", "layers.7"): shape for name, shape in SHAPES.items()})),
        r"no module model\.layers\.7\.self_attn\.q_proj \(nearest: model\.layers\.0\.self_attn\.q_proj\)",
    ),
    "NaN": (weights(one_value(b"\0\0\xc0\x7f")), r"lora_B holds NaN or infinity"),
    "infinity": (weights(one_value(b"\0\0\x80\xff")), r"lora_B holds NaN or infinity"),
    "NaN in bfloat16": (weights(safetensors(SHAPES, fill=0xFF, dtype="BF16", size=2)), "holds NaN"),
    "infinity in half precision": (weights(safetensors(SHAPES, fill=0x7C, dtype="F16", size=2)), "holds NaN"),
    "untrained": (weights(zero_b()), "changes nothing"),
    "all zero": (shapes({}, fill=0), "changes nothing"),
    "minus zero": (weights(safetensors(SHAPES, fill=0)[:-1] + b"\x80"), "changes nothing"),
    "another tokenizer": (add("tokenizer.json", b'{"a": 1}'), r"tokenizer\.json differs from the base"),
    "another chat template": (add("chat_template.jinja", b"{{ x }}"), r"chat_template\.jinja differs from the base"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_adapter_is_refused_with_its_own_message(tmp_path: Path, kind: str) -> None:
    breaking, message = BROKEN[kind]
    folder = write_adapter(tmp_path / "adapter")
    breaking(folder)
    layout = BaseLayout.of_folder(write_base(tmp_path / "base"))
    with pytest.raises(AdapterError, match=message) as caught:
        check_folder(
            folder, max_rank=16, base=layout, limits=Limits(bytes=4000 if kind == "too large" else 2**30, files=20)
        )
    assert "adapter" in caught.value.message


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if not kind.startswith("too ")])
def test_a_refused_adapter_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    folder = write_adapter(tmp_path / "adapter")
    BROKEN[kind][0](folder)
    root = tmp_path / "staged"
    staging = Staging(root, max_rank=16, base=BaseLayout.of_folder(write_base(tmp_path / "base")))
    with pytest.raises(AdapterError):
        staging.stage("sql", 1, folder)
    assert not root.exists()


def test_a_whole_adapter_passes_and_is_summed_up(tmp_path: Path) -> None:
    base = BaseLayout.of_folder(write_base(tmp_path / "base"))
    folder = write_adapter(tmp_path / "adapter", r=8, use_rslora=True, init_lora_weights="gaussian", bias="none")
    (folder / "tokenizer.json").write_bytes((tmp_path / "base" / "tokenizer.json").read_bytes())
    summary = check_folder(folder, max_rank=8, base=base)
    assert (summary.rank, summary.alpha) == (8, 16.0)
    assert summary.modules == {"model.layers.0.self_attn.q_proj"}


def test_a_rank_of_its_own_for_a_module_is_taken(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "adapter", r=2, rank_pattern={"q_proj": 8})
    assert check_folder(folder, max_rank=8).rank == 8


@pytest.mark.parametrize("name", ["json", "label", "label-bad", "sql", "style"])
def test_the_demos_adapters_fit_the_demos_packed_base_and_no_other(tmp_path: Path, name: str) -> None:
    folder, base = DEMO / "adapters" / name, BaseLayout.of_folder(DEMO / "base")
    assert base is not None
    assert len(check_folder(folder, max_rank=16, base=base).modules) == 28
    with pytest.raises(AdapterError, match="no module"):
        check_folder(folder, max_rank=16, base=BaseLayout.of_folder(write_base(tmp_path / "base")))


def test_an_embeddings_delta_is_measured_the_other_way_round(tmp_path: Path) -> None:
    base = BaseLayout.of_folder(write_base(tmp_path / "base"))
    folder = write_adapter(tmp_path / "adapter")
    embedding = {f"{MODULE}.lora_embedding_A": (8, 6), f"{MODULE}.lora_embedding_B": (4, 8)}
    weights(safetensors(dict(embedding)))(folder)
    assert check_folder(folder, max_rank=8, base=base).rank == 8
    weights(safetensors({f"{MODULE}.lora_embedding_A": (8, 4), f"{MODULE}.lora_embedding_B": (6, 8)}))(folder)
    with pytest.raises(AdapterError, match="takes 4 and gives 6"):
        check_folder(folder, max_rank=8, base=base)


def test_a_base_of_several_files_is_read_by_its_index(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    (base / "model.safetensors").rename(base / "model-1-of-1.safetensors")
    index = {"weight_map": {"model.layers.0.self_attn.q_proj.weight": "model-1-of-1.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    layout = BaseLayout.of_folder(base)
    assert layout is not None
    assert layout.modules == {"model.layers.0.self_attn.q_proj": (6, 4)}


def test_a_base_of_which_too_little_is_known_refuses_nothing(tmp_path: Path) -> None:
    experts = safetensors({"model.layers.0.mlp.experts.0.up_proj.weight": (6, 4)})
    (tmp_path / "model.safetensors").write_bytes(experts)
    assert BaseLayout.of_folder(tmp_path) is None
    (tmp_path / "model.safetensors").unlink()
    assert BaseLayout.of_folder(tmp_path) is None
