"""A folder of broken adapters: each is refused in its own words, and nothing of it is left behind."""

import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import check_folder
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.publish import PushRequest
from patchbay.core.errors import AdapterError
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.preflight import adapter_faults
from tests.fakes.adapter_folder import (
    CONFIG,
    MODULE,
    SIZE,
    A,
    B,
    Stored,
    f32,
    lora,
    safetensors,
    with_header,
    write_adapter,
    write_base,
)
from tests.fakes.installation import Installation

DEMO = Path(__file__).parents[3] / "tuning" / "demo" / "artifacts"
Break = Callable[[Path], object]
GOOD = safetensors(lora())
OTHER = "base_model.model.model.layers.0.mlp.up_proj"


def config(**fields: object) -> Break:
    return text("adapter_config.json", json.dumps(CONFIG | fields))


def text(name: str, content: str) -> Break:
    return lambda folder: (folder / name).write_text(content)


def weights(content: bytes) -> Break:
    return lambda folder: (folder / "adapter_model.safetensors").write_bytes(content)


def tensors(**changes: Stored) -> Break:
    return weights(safetensors(lora() | {{"A": A, "B": B}[side]: stored for side, stored in changes.items()}))


def more(name: str) -> Break:
    return weights(safetensors(lora() | {name: f32(8, SIZE)}))


def without(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def moved(name: str) -> Break:
    return lambda folder: (folder / "adapter_model.safetensors").rename(folder / name)


def linked(name: str, target: str) -> Break:
    return lambda folder: (folder / name).symlink_to(target)


def in_data(position: int, raw: bytes) -> Break:
    """The good weights with `raw` from the byte `position` of the data on."""
    at = len(GOOD) - 2 * 4 * 8 * SIZE + position
    return weights(GOOD[:at] + raw + GOOD[at + len(raw) :])


def entries(*offsets: tuple[int, int], size: int) -> Break:
    """Tensors `t0`, `t1`, … of bytes, at these offsets of `size` bytes of data."""
    header = {
        f"t{i}": {"dtype": "U8", "shape": [end - start], "data_offsets": [start, end]}
        for i, (start, end) in enumerate(offsets)
    }
    return weights(with_header(json.dumps(header).encode(), bytes(size)))


def entry(**fields: Any) -> Break:
    whole: dict[str, Any] = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} | fields
    return weights(with_header(json.dumps({"t": whole}).encode(), bytes(4)))


def header(raw: bytes) -> Break:
    return weights(with_header(raw, b""))


def odd(dtype: str, width: int) -> tuple[str, Break, str]:
    raw = (dtype, [8, SIZE], bytes(8 * SIZE * width))
    return f"dtype {dtype}", tensors(A=raw), rf"lora_A\.weight is {dtype}, expected BF16, F16, F32"


def sixteen(dtype: str, bits: int) -> Break:
    return tensors(A=(dtype, [8, SIZE], struct.pack("<H", bits) * 8 * SIZE))


TWICE = b'{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
BROKEN: list[tuple[str, Break, str]] = [
    ("no config", without("adapter_config.json"), r"adapter_config\.json cannot be read"),
    ("config no json", text("adapter_config.json", "{"), "not valid JSON"),
    ("config a list", text("adapter_config.json", "[]"), "must hold a JSON object"),
    ("config not utf-8", lambda f: (f / "adapter_config.json").write_bytes(b'{"\xff":1}'), "not UTF-8 at byte 2"),
    ("config keys twice", text("adapter_config.json", '{"r": 8, "r": 16}'), "key 'r' is given twice"),
    ("config deep", text("adapter_config.json", "[" * 200_000), "nests too deep"),
    ("config huge", text("adapter_config.json", " " * 3000), r"config\.json is larger than 2000 bytes"),
    ("another kind", config(peft_type="PREFIX_TUNING"), "expected 'LORA'"),
    ("rank zero", config(r=0), "rank r is 0"),
    ("rank true", config(r=True), "rank r is True"),
    ("rank text", config(r="8"), "rank r is '8'"),
    ("rank too high", config(r=17), "rank is 17, but this server takes at most 16"),
    ("rank pattern too high", config(rank_pattern={"q_proj": 32}), "rank is 32"),
    ("rank pattern differs", config(rank_pattern={"q_proj": 4}), r"\[8, 4\], expected \[4, in\]"),
    ("rank pattern a list", config(rank_pattern=[4]), "rank_pattern is .* expected an object"),
    ("rank pattern explosive", config(rank_pattern={"(a+)+b": 4}), "expected a module's name or a simple pattern"),
    ("no alpha", config(lora_alpha=None), "lora_alpha is None"),
    ("alpha zero", config(lora_alpha=0), r"adapter_config\.json: lora_alpha is 0, so that the adapter changes nothing"),
    ("alpha nan", config(lora_alpha=math.nan), "lora_alpha is nan, expected a finite number"),
    ("alpha pattern inf", config(alpha_pattern={"q_proj": math.inf}), "alpha_pattern of 'q_proj' is inf"),
    ("dora", config(use_dora=True), "use_dora is set, but vLLM does not serve DoRA"),
    ("lora bias", config(lora_bias=True), "lora_bias is set"),
    ("alora", config(alora_invocation_tokens=[1]), "activated LoRA"),
    ("replicated layers", config(layer_replication=[[0, 1]]), "layer replication"),
    ("bd-lora", config(use_bdlora={"x": 1}), "BD-LoRA"),
    ("qalora", config(use_qalora=True), "QALoRA"),
    ("bias", config(bias="all"), "bias is 'all', expected 'none'"),
    ("pissa", config(init_lora_weights="pissa"), "changes the base's own weights"),
    ("modules to save", config(modules_to_save=["lm_head"]), "modules_to_save is .'lm_head'."),
    ("rslora no flag", config(use_rslora="yes"), "use_rslora is 'yes', expected true or false"),
    ("targets none", config(target_modules=None), "target_modules is None"),
    ("no weights", without("adapter_model.safetensors"), r"adapter_model\.safetensors does not exist"),
    ("weights misnamed", moved("model.safetensors"), r"Rename model\.safetensors"),
    ("weights sharded", moved("adapter_model-00001-of-00002.safetensors"), "the weights are sharded"),
    ("pickle", moved("adapter_model.bin"), r"adapter_model\.bin is a pickle"),
    ("link to a file", linked("README.md", "/etc/passwd"), r"README\.md is a link"),
    ("link to a folder", linked("tokenizer.json", "/etc"), r"tokenizer\.json is a link"),
    ("link nowhere", linked("vocab.json", "nowhere"), r"vocab\.json is a link"),
    ("fifo", lambda folder: os.mkfifo(folder / "LICENSE"), "LICENSE is no regular file"),
    ("file too large", text("vocab.json", "x" * 9000), "takes 9000 bytes, expected at most 8000"),
    ("folder too large", lambda f: [text(f"n{i}.md", "x" * 5000)(f) for i in range(3)], "more than 12000 bytes"),
    ("too many files", lambda f: [text(f"n{i}.md", "")(f) for i in range(9)], "holds more than 8 files"),
    ("empty weights", weights(b""), "cut short"),
    ("header over the file", weights(b"\xff" * 8 + b"{}"), "cut short: its header"),
    ("header huge", header(b"{}" + b" " * 3000), "header takes 3002 bytes, expected at most 2000"),
    ("header no json", header(b"{]"), "header is not JSON"),
    ("header a list", header(b"[]"), "no JSON object"),
    ("header indented", header(b" {}"), "no JSON object from its first byte"),
    ("header not utf-8", header(b'{"\xff":1}'), "not UTF-8 at byte 2"),
    ("header half a pair", header(b'{"\\ud800":{}}'), "not Unicode text"),
    ("header deep", header(b'{"a":' + b"[" * 1990), "nests too deep|header is not JSON"),
    ("metadata no text", header(b'{"__metadata__":{"a":1}}'), "must map text to text"),
    ("names twice", header(TWICE), "key 't' is given twice"),
    ("unknown dtype", entry(dtype="F12"), "has the dtype F12"),
    ("a field more", entry(more=1), "and nothing else"),
    ("negative", entry(shape=[-4]), "number -4 is negative"),
    ("shape no list", entry(shape=4), "no list of whole numbers"),
    ("offsets three", entry(data_offsets=[0, 4, 4]), "not its start and its end"),
    ("size differs", entry(shape=[5]), r"has 4 bytes, but U8 of shape \[5\] takes 5"),
    ("shape overflows", entry(shape=[2**62, 2**62, 0]), "more than .* elements"),
    ("truncated", weights(GOOD[:-1]), "is cut short: the tensor .* ends at 256 of 255 bytes"),
    ("trailing bytes", weights(GOOD + b"x"), "has 1 bytes behind its last tensor"),
    ("overlap", entries((0, 4), (3, 7), size=7), "t1 overlaps .* begins at byte 3, expected 4"),
    ("gap", entries((0, 4), (5, 7), size=7), "t1 leaves a gap .* begins at byte 5, expected 4"),
    ("no tensors", header(b"{}"), "has no tensor of a LoRA"),
    ("missing A", weights(safetensors({B: f32(SIZE, 8)})), r"lora_A\.weight is missing"),
    ("missing B", weights(safetensors({A: f32(8, SIZE)})), r"lora_B\.weight is missing"),
    ("extra tensor", more("base_model.model.norm.weight"), r"norm\.weight is no part of a LoRA"),
    (
        "base's head",
        more("base_model.model.lm_head.weight"),
        "lm_head.weight is no part of a LoRA|whole lm_head, which cannot be compared",
    ),
    ("dora's tensor", more(f"{OTHER}.lora_magnitude_vector"), "belongs to DoRA"),
    ("base's embedding", more("base_model.model.embed_tokens.base_layer.weight"), "embed_tokens, which cannot be comp"),
    ("no prefix", more("model.x.lora_A.weight"), r"expected base_model\.model\.<module>"),
    ("A no matrix", tensors(A=f32(8)), "expected a matrix"),
    ("wrong rank", weights(safetensors(lora(rank=4))), r"\[4, 4\], expected \[8, in\]"),
    *(odd(*kind) for kind in (("F64", 8), ("F8_E4M3", 1), ("I8", 1), ("I32", 4), ("I64", 8), ("U8", 1), ("BOOL", 1))),
    ("wrong input", tensors(A=f32(8, 5)), r"lora_A.* \[8, 5\], expected \[8, 4\], .* takes 4 and gives 4"),
    ("wrong output", tensors(B=f32(5, 8)), r"lora_B.* \[5, 8\], expected \[4, 8\]"),
    (
        "unknown module",
        weights(safetensors({name.replace("layers.0", "layers.9"): t for name, t in lora().items()})),
        r"layers\.9.* the base model has not \(nearest: model\.layers\.0\.self_attn\.q_proj\)",
    ),
    ("nan", in_data(12, struct.pack("<f", math.nan)), r"lora_A\.weight holds NaN at element 3"),
    ("inf", in_data(4 * 8 * SIZE, struct.pack("<f", -math.inf)), r"lora_B\.weight holds Inf at element 0"),
    ("nan bf16", sixteen("BF16", 0xFFC0), "holds NaN"),
    ("inf f16", sixteen("F16", 0x7C00), "holds Inf"),
    ("huge A", in_data(12, struct.pack("<f", -1e38)), r"lora_A\.weight holds 1e\+38, expected at most 1000\."),
    ("huge A bf16", sixteen("BF16", 0x7E96), r"lora_A\.weight holds 9\.\d+e\+37, expected at most 1000\."),
    ("huge A f16", sixteen("F16", 0x7BFF), r"lora_A\.weight holds 6\.55e\+04, expected at most 1000\."),
    (
        "huge scaled B",
        config(lora_alpha=1e6),
        r"lora_B\.weight holds, once it is scaled, 3\.125e\+04, expected at most 1000\.",
    ),
    (
        "huge product",
        tensors(A=f32(8, SIZE, value=900.0), B=f32(SIZE, 8, value=-1.0)),
        r"product of .*lora_B\.weight and .*lora_A\.weight holds 1\.44e\+04, expected at most 1000\.",
    ),
    ("zero B", tensors(B=f32(SIZE, 8, value=0)), "every lora_B is all zeros"),
    ("minus zero B", tensors(B=f32(SIZE, 8, value=-0.0)), "every lora_B is all zeros"),
    ("zero A", tensors(A=f32(8, SIZE, value=0)), "lora_A or lora_B is all zeros"),
    ("template drift", text("chat_template.jinja", "{{ x }}"), r"chat_template\.jinja: the chat template differs"),
    (
        "template in the config",
        text("tokenizer_config.json", '{"chat_template": "{{ x }}"}'),
        r"tokenizer_config\.json: the chat template differs",
    ),
    ("tokenizer drift", text("tokenizer.json", '{"model": {"vocab": {"b": 0}}}'), "the tokenizer differs"),
    ("tokenizer no json", text("tokenizer.json", "{"), r"tokenizer\.json is not valid JSON"),
]
LIMITS = FolderLimits(files=8, folder_bytes=12000, file_bytes=8000, config_bytes=2000, header_bytes=2000)
ROOMY = {"config deep"}
TO_LIMITS = {"config huge", "header huge", "file too large", "folder too large", "too many files"}
# What a push writes out before it asks.
WRITTEN_OUT = {"rank pattern explosive", "targets none"}


@pytest.fixture
def base(tmp_path: Path) -> BaseLayout:
    layout = BaseLayout.of_folder(write_base(tmp_path / "base"))
    assert layout is not None
    return layout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation.at(tmp_path_factory.mktemp("desk"), max_rank=16) as made:
        yield made


@pytest.mark.parametrize(("name", "breaking", "message"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_a_broken_adapter_is_refused_in_its_own_words_and_nothing_is_left_behind(
    tmp_path: Path, base: BaseLayout, desk: Installation, name: str, breaking: Break, message: str
) -> None:
    folder = write_adapter(tmp_path / "adapter")
    breaking(folder)
    with pytest.raises(AdapterError, match=message) as refusal:
        check_folder(folder, max_rank=16, base=base, limits=FolderLimits() if name in ROOMY else LIMITS)
    assert "\n" not in str(refusal.value)
    if name not in TO_LIMITS | WRITTEN_OUT:
        with pytest.raises(AdapterError, match=message):
            desk.publisher.push(PushRequest("sql", str(folder)), actor="test", base=base)
        assert list(desk.store.hashes()) == []
        assert desk.registry.adapters() == ()


@pytest.mark.parametrize(
    "change",
    [
        config(),
        config(use_rslora=True),
        config(target_modules=".*q_proj"),
        config(rank_pattern={"q_proj": 8, "up_proj": 4}, r=4),
        tensors(A=("BF16", [8, SIZE], b"\x80\x3f" * 8 * SIZE)),
        text("tokenizer.json", '{"padding": {}, "model": {"merges": [["a", "b"]], "vocab": {"a": 0}}}'),
        text("chat_template.jinja", "{{ messages }}\n"),
        text("tokenizer_config.json", '{"chat_template": [{"name": "default", "template": "{{ messages }}"}]}'),
        text("README.md", "# sql"),
        weights(safetensors({name.replace("model.layers", "language_model.layers"): t for name, t in lora().items()})),
    ],
    ids=range(10),
)
def test_a_whole_adapter_passes(tmp_path: Path, base: BaseLayout, change: Break) -> None:
    folder = write_adapter(tmp_path / "adapter")
    change(folder)
    summary = check_folder(folder, max_rank=8, base=base)
    assert (summary.rank, summary.alpha) == (8, 16.0)
    assert len(summary.modules) == 1


def test_without_a_local_base_the_rest_is_checked(tmp_path: Path) -> None:
    assert check_folder(write_adapter(tmp_path / "adapter"), max_rank=8).modules == {MODULE}
    assert BaseLayout.of_folder(tmp_path / "none") is None


@pytest.mark.parametrize("name", sorted(path.name for path in (DEMO / "adapters").iterdir()))
def test_the_demos_adapters_fit_the_demos_base_and_no_other(tmp_path: Path, name: str) -> None:
    demo = BaseLayout.of_folder(DEMO / "base")
    other = BaseLayout.of_folder(write_base(tmp_path / "other", size=128))
    assert demo is not None
    assert other is not None
    assert demo.modules["model.layers.0.mlp.down_proj"] == (256, 512)
    assert len(check_folder(DEMO / "adapters" / name, max_rank=16, base=demo).modules) == 28
    with pytest.raises(AdapterError, match="the base model has not"):
        check_folder(DEMO / "adapters" / name, max_rank=16, base=other)


@pytest.mark.parametrize("wrapper", ["", "language_model."], ids=["packed by GPTQ", "multimodal"])
def test_a_base_that_packs_or_names_its_weights_otherwise_refuses_no_adapter_that_fits(
    tmp_path: Path, wrapper: str
) -> None:
    module = MODULE.replace("model.", f"model.{wrapper}", 1)
    stored = f32(SIZE, SIZE) if wrapper else ("I32", [1, 1], bytes(4))
    weight = f"{module}.weight" if wrapper else f"{module}.qweight"
    (tmp_path / "model.safetensors").write_bytes(safetensors({"lm_head.weight": f32(9, SIZE), weight: stored}))
    layout = BaseLayout.of_folder(tmp_path)
    assert layout is not None
    assert check_folder(write_adapter(tmp_path / "adapter"), max_rank=8, base=layout).rank == 8


def test_a_sharded_base_is_read_whole_and_a_tied_head_is_there(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(safetensors({"model.embed_tokens.weight": f32(9, 2)}))
    (tmp_path / "two.safetensors").write_bytes(safetensors({"model.x.qweight": ("I32", [1, 1], bytes(4))}))
    index = {"weight_map": {"model.embed_tokens.weight": "one.safetensors", "model.x.qweight": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    layout = BaseLayout.of_folder(tmp_path)
    assert layout is not None
    assert dict(layout.modules) == {"model.embed_tokens": (9, 2), "model.x": None, "lm_head": (9, 2)}


def test_an_embeddings_pair_is_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"model.embed_tokens.weight": f32(9, 2)}))
    name = "base_model.model.model.embed_tokens.lora_embedding_"
    folder = write_adapter(tmp_path / "adapter", target_modules=["embed_tokens"])
    weights(safetensors({f"{name}A": f32(8, 9), f"{name}B": f32(2, 8)}))(folder)
    layout = BaseLayout.of_folder(tmp_path)
    assert check_folder(folder, max_rank=8, base=layout).modules == {"model.embed_tokens"}
    weights(safetensors({f"{name}A": f32(8, 2), f"{name}B": f32(9, 8)}))(folder)
    with pytest.raises(AdapterError, match=r"expected \[8, 9\]"):
        check_folder(folder, max_rank=8, base=layout)


def test_a_declared_adapter_of_another_base_is_found_before_anything_starts(tmp_path: Path) -> None:
    data = {
        "base": {"model": str(write_base(tmp_path / "base", size=5)), "name": "tiny"},
        "adapters": {"sql": str(write_adapter(tmp_path / "sql"))},
    }
    wrong = {"none": str(tmp_path / "none"), "big": _big(tmp_path)}
    config = PatchbayConfig.model_validate(data | {"adapters": {"sql": str(tmp_path / "sql"), **wrong}})
    told = {one.keys[1]: one.words for one in adapter_faults(config)}
    assert set(told) == {"sql", "none", "big"}
    assert "expected [8, 5]" in told["sql"]
    assert "there is no folder and no archive" in told["none"]
    assert "rank is 64" in told["big"]
    assert {one.keys[1] for one in adapter_faults(config, base_is_known=False)} == {"none", "big"}


def _big(folder: Path) -> str:
    return str(write_adapter(folder / "big", r=64))
