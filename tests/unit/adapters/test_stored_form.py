"""Adapters as PEFT writes them: what an engine would not read is taken out or written out on the way into the store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import check_folder
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.publish import PushRequest
from patchbay.adapters.signing import sign_folder
from patchbay.adapters.stored_form import stored_form
from patchbay.core.errors import AdapterError, TooCostly
from patchbay.registry.records import Revision
from tests.fakes.adapter_folder import MODULE, write_adapter, write_base
from tests.fakes.installation import Installation
from tests.fakes.keys import signing_keys

ROWS = 2000


def tiny(*, tied: bool = False, dtype: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "vocab_size": ROWS,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=tied)).to(torch.bfloat16).to(dtype)


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def tied(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tied: bool) -> BaseLayout:
    folder = tmp_path_factory.mktemp("base")
    tiny(tied=tied).save_pretrained(folder)
    layout = BaseLayout.of_folder(folder)
    assert layout is not None
    return BaseLayout.from_json(json.loads(json.dumps(layout.to_json())))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Installation]:
    with Installation.at(tmp_path / "desk") as made:
        yield made


def trained(folder: Path, model: LlamaForCausalLM, *targets: str) -> Path:
    torch.manual_seed(1)
    peft = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", *targets], task_type="CAUSAL_LM"))
    for name, parameter in peft.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, 0, 0.1)
    peft.save_pretrained(str(folder))
    return folder


def changed(folder: Path, **tensors: torch.Tensor) -> Path:
    """The adapter with some of its tensors others; in names, `__` is a dot."""
    path = folder / "adapter_model.safetensors"
    named = {f"base_model.model.{name.replace('__', '.')}": tensor for name, tensor in tensors.items()}
    save_file(load_file(path) | named, path)
    return folder


def edited(folder: Path, **fields: Any) -> Path:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "absent"}))
    return folder


def stored(desk: Installation, revision: Revision, out: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    desk.store.fetch(revision.draft.files, out)
    return load_file(out / "adapter_model.safetensors"), json.loads((out / "adapter_config.json").read_text())


def pushed(desk: Installation, folder: Path, base: BaseLayout | None = None) -> Revision:
    return desk.publisher.push(PushRequest("sql", str(folder)), actor="ml", base=base).revision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_the_bases_own_embedding_that_peft_saves_is_taken_out_and_the_lora_stays(
    tmp_path: Path, desk: Installation, base: BaseLayout, tied: bool, target: str, dtype: torch.dtype
) -> None:
    folder = trained(tmp_path / "a", tiny(tied=tied, dtype=dtype), target)
    before = load_file(folder / "adapter_model.safetensors")
    copies = {name for name in before if name.endswith(".base_layer.weight")}
    assert copies, "PEFT saves none any more"
    revision = pushed(desk, folder, base)
    tensors, _ = stored(desk, revision, tmp_path / "out")
    assert tensors.keys() == before.keys() - copies
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())
    assert any(target in name for name in tensors)
    assert revision.draft.changes == tuple(f"{name}, the base model's own, is taken out" for name in sorted(copies))
    assert {target, "q_proj"} == set(revision.draft.targets)
    assert "taken out" in str(desk.registry.audit()[0].details)
    assert check_folder(tmp_path / "out", max_rank=16, base=base).rank == 4


@pytest.mark.parametrize("row", [0, 1, ROWS // 2, ROWS - 1])
def test_an_embedding_that_was_trained_is_refused_wherever_it_differs(
    tmp_path: Path, desk: Installation, base: BaseLayout, tied: bool, row: int
) -> None:
    model = tiny(tied=tied)
    folder = trained(tmp_path / "a", model, "embed_tokens")
    weight = load_file(folder / "adapter_model.safetensors")["base_model.model.model.embed_tokens.base_layer.weight"]
    weight[row, 3] += 1
    changed(folder, model__embed_tokens__base_layer__weight=weight)
    with pytest.raises(AdapterError, match=r"embed_tokens\.base_layer\.weight .* differs from the base model's own"):
        pushed(desk, folder, base)
    assert list(desk.store.hashes()) == []


def test_an_embedding_of_a_resized_vocabulary_is_taken_out_where_its_other_rows_are_the_bases(
    tmp_path: Path, desk: Installation, base: BaseLayout, tied: bool
) -> None:
    model = tiny(tied=tied)
    folder = trained(tmp_path / "a", model)
    rows = torch.cat([tiny(tied=tied).get_input_embeddings().weight.detach(), torch.ones(1, 16, dtype=torch.bfloat16)])
    changed(folder, model__embed_tokens__weight=rows)
    tensors, _ = stored(desk, pushed(desk, folder, base), tmp_path / "out")
    assert not any("embed_tokens" in name for name in tensors)
    for wrong in (rows[: ROWS - 1], rows[:, :8], rows.to(torch.float64)):
        changed(folder, model__embed_tokens__weight=wrong.contiguous())
        with pytest.raises(AdapterError, match=r"embed_tokens in the shape"):
            pushed(desk, folder, base)


def test_without_a_base_nobody_can_tell_and_it_is_said_what_to_do(tmp_path: Path, desk: Installation) -> None:
    folder = trained(tmp_path / "a", tiny(), "lm_head")
    with pytest.raises(AdapterError, match=r"no base model is known to compare it with\. Name the base: --base FOLDER"):
        pushed(desk, folder)


def test_a_signed_adapter_is_stored_as_it_was_signed(tmp_path: Path, base: BaseLayout, tied: bool) -> None:
    secret, public = signing_keys(tmp_path)
    folder = trained(tmp_path / "a", tiny(tied=tied), "embed_tokens")
    sign_folder(folder, secret)
    with Installation.at(tmp_path / "desk", signing={"require_signed": True, "public_keys": [str(public)]}) as desk:
        revision = pushed(desk, folder, base)
        assert revision.draft.signed_by is not None
        assert revision.draft.changes == ()
        marked = write_adapter(tmp_path / "marked")
        config = marked / "adapter_config.json"
        config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
        sign_folder(marked, secret)
        with pytest.raises(AdapterError, match="byte order mark, which no engine reads"):
            pushed(desk, marked, None)
        tensors, _ = stored(desk, revision, tmp_path / "out")
    assert any(name.endswith(".base_layer.weight") for name in tensors)
    assert check_folder(tmp_path / "out", max_rank=16, base=base).rank == 4


def test_a_byte_order_mark_is_taken_out_since_no_engine_reads_it(tmp_path: Path, desk: Installation) -> None:
    folder = write_adapter(tmp_path / "a")
    for name in ("adapter_config.json", "patchbay-adapter.yaml", "tokenizer_config.json"):
        text = (folder / name).read_bytes() if (folder / name).exists() else b"{}"
        (folder / name).write_bytes(b"\xef\xbb\xbf" + text)
    revision = pushed(desk, folder)
    desk.store.fetch(revision.draft.files, tmp_path / "out")
    raw = (tmp_path / "out" / "adapter_config.json").read_bytes()
    assert json.loads(raw)["r"] == 8
    assert revision.draft.changes == ("the byte order mark of adapter_config.json is taken out",)


@pytest.mark.parametrize("targets", [None, "absent"], ids=str)
def test_targets_that_are_not_given_are_those_of_the_tensors(tmp_path: Path, desk: Installation, targets: Any) -> None:
    folder = edited(write_adapter(tmp_path / "a"), target_modules=targets)
    _, config = stored(desk, pushed(desk, folder), tmp_path / "out")
    assert config["target_modules"] == ["q_proj"]


def test_targets_that_no_module_has_are_no_fault(tmp_path: Path, desk: Installation) -> None:
    wanted = ["q_proj", "nowhere", *(f"model.layers.{number}.x_proj" for number in range(2000))]
    folder = edited(write_adapter(tmp_path / "a"), target_modules=wanted)
    layout = BaseLayout.of_folder(write_base(tmp_path / "base"))
    assert pushed(desk, folder, layout).draft.targets == ("q_proj",)


@pytest.mark.parametrize(
    "pattern",
    [
        r"q_proj",
        r"self_attn.(q|k)_proj",
        r"model\.layers\.(0|[1-9][0-9]*)\.self_attn\.(?:q|k)_proj",
        r"^model\.(?:layers\.)?\d+\.\w+\.q_proj",
        r".*\.layers\.\d+\..*\.[qk]_proj",
        "|".join([f"x{number}_proj" for number in range(50)] + ["q_proj"]),
    ],
    ids=range(6),
)
def test_a_pattern_of_ranks_is_read_as_peft_reads_it(tmp_path: Path, desk: Installation, pattern: str) -> None:
    from peft.utils.other import get_pattern_key

    assert get_pattern_key([pattern], MODULE) == pattern, "PEFT reads it otherwise"
    folder = edited(
        write_adapter(tmp_path / "a"), r=2, rank_pattern={pattern: 8}, alpha_pattern={"none": 1, pattern: 3}
    )
    out = tmp_path / "out"
    desk.store.fetch(pushed(desk, folder).draft.files, out)
    from vllm.lora.peft_helper import PEFTHelper

    helper = PEFTHelper.from_dict(json.loads((out / "adapter_config.json").read_text()))
    assert helper.get_rank_and_scaling(MODULE) == (8, 3 / 8)


def test_a_pattern_that_takes_for_ever_is_given_up_and_ends_nothing_else(tmp_path: Path) -> None:
    with Installation.at(tmp_path / "desk", sources={"cpu_s": 2}) as desk:
        folder = edited(write_adapter(tmp_path / "a"), rank_pattern={r"([a-z0-9_.]+)+!": 8})
        with pytest.raises(TooCostly, match="more than 2 seconds of processor time"):
            pushed(desk, folder)
        with pytest.raises(AdapterError, match="is no regular expression"):
            pushed(desk, edited(folder, rank_pattern={"(" * 300: 8}))
        assert pushed(desk, write_adapter(tmp_path / "good")).number == 1


def test_what_is_stored_already_stays_as_it_is(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a")
    assert stored_form(folder, None, DEFAULT_LIMITS, tmp_path / "out").folder == folder
    assert not (tmp_path / "out").exists()


def test_an_adapter_cannot_be_called_as_the_base_that_it_is_for(tmp_path: Path, desk: Installation) -> None:
    from patchbay.adapters.publish import register_folder_base

    layout = register_folder_base(desk.registry, str(write_base(tmp_path / "tiny")), name="sql")
    with pytest.raises(AdapterError, match="The base model itself is called 'sql'") as refused:
        pushed(desk, write_adapter(tmp_path / "a"), layout)
    assert refused.value.reason == "name"
    assert desk.registry.adapters() == ()


def test_an_adapter_cannot_be_called_as_the_base_of_a_pool(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from patchbay.command import build_app

    (tmp_path / "patchbay.yaml").write_text(
        "base: x\npools:\n  a: {base: org/rank}\n  b: {base: {model: y, name: search}}\n"
    )
    write_adapter(tmp_path / "a")
    for name in ("rank", "search"):
        arguments = ["adapters", "push", str(tmp_path / "a"), "--name", name, "-c", str(tmp_path / "patchbay.yaml")]
        done = CliRunner().invoke(build_app(), arguments)
        assert done.exit_code == 3, done.output
        assert f"The base model of a pool is called '{name}'" in done.output
