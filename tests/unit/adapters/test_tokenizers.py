"""A tokenizer that was only written anew is no drift; one that does anything else is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.drift import check_drift
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.publish import PushRequest
from patchbay.core.errors import AdapterError
from tests.fakes.adapter_folder import write_adapter, write_base
from tests.fakes.installation import Installation
from tests.fakes.tokenizers import FAMILIES, write_tokenizer

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def layout(folder: Path) -> BaseLayout:
    found = BaseLayout.of_folder(folder)
    assert found is not None
    return BaseLayout.from_json(json.loads(json.dumps(found.to_json())))


def based(folder: Path, family: str) -> BaseLayout:
    """The layout of a base with a tokenizer of that family, as hubs have it."""
    write_base(folder)
    (folder / "chat_template.jinja").unlink()
    write_tokenizer(folder, family)
    return layout(folder)


def edited(folder: Path, edit: Edit, name: str = "tokenizer.json") -> Path:
    document = json.loads((folder / name).read_text())
    edit(document)
    (folder / name).write_text(json.dumps(document))
    return folder


def resaved(base: Path, out: Path, **changes: Any) -> Path:
    """The base's tokenizer, as transformers 5 writes it."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    if changes:
        tokenizer.add_special_tokens(changes)
    tokenizer.save_pretrained(out)
    return out


def check(folder: Path, base: BaseLayout) -> None:
    check_drift(folder, base, DEFAULT_LIMITS)


def test_the_bases_own_tokenizer_written_anew_by_transformers_is_no_drift(tmp_path: Path, family: str) -> None:
    base = based(tmp_path / "base", family)
    folder = resaved(tmp_path / "base", tmp_path / "saved")
    assert (folder / "tokenizer.json").read_text() != (tmp_path / "base" / "tokenizer.json").read_text()
    check(folder, base)
    # And the other way round: a base that was saved anew, an adapter with the hub's own file.
    write_base(folder)
    (folder / "chat_template.jinja").unlink()
    resaved(tmp_path / "base", folder)
    check(tmp_path / "base", layout(folder))


def test_an_unused_token_for_padding_behind_the_vocabulary_is_no_drift(tmp_path: Path, family: str) -> None:
    base = based(tmp_path / "base", family)
    for number, token in enumerate(("[PAD]", "<|finetune_right_pad_id|>")):
        folder = resaved(tmp_path / "base", tmp_path / f"saved-{number}", pad_token=token)
        assert token in (folder / "tokenizer.json").read_text()
        check(folder, base)
    (folder / "chat_template.jinja").write_text("{{ messages }}<|finetune_right_pad_id|>")
    with pytest.raises(
        AdapterError, match=r"it has the token <\|finetune_right_pad_id\|>, which the base model does not"
    ):
        check(folder, base)


def test_another_new_token_is_drift_and_is_named(tmp_path: Path, family: str) -> None:
    base = based(tmp_path / "base", family)
    folder = resaved(tmp_path / "base", tmp_path / "saved", additional_special_tokens=["<|tool|>"])
    with pytest.raises(AdapterError, match=r"tokenizer differs .*: it has the token <\|tool\|>, which the base"):
        check(folder, base)


def _swap(document: dict[str, Any]) -> None:
    vocabulary = document["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]


DRIFT: dict[str, tuple[Edit, str]] = {
    "two tokens swapped": (_swap, "its vocabulary does"),
    "a token less": (lambda d: d["model"]["vocab"].pop("hello"), "its vocabulary does"),
    "a merge less": (lambda d: d["model"]["merges"].pop(), "its merges do"),
    "merges in another order": (lambda d: d["model"]["merges"].reverse(), "its merges do"),
    "an added token less": (lambda d: d["added_tokens"].pop(), "it has no added token"),
    "an added token called otherwise": (lambda d: d["added_tokens"][0].update(content="<x>"), "added token <"),
    "lower case": (lambda d: d.update(normalizer={"type": "Lowercase"}), "apart otherwise"),
    "no blanks": (lambda d: d.update(pre_tokenizer={"type": "WhitespaceSplit"}), "apart otherwise"),
}


@pytest.mark.parametrize("kind", DRIFT)
def test_a_tokenizer_that_does_something_else_is_drift_and_it_is_said_what(
    tmp_path: Path, family: str, kind: str
) -> None:
    edit, message = DRIFT[kind]
    base = based(tmp_path / "base", family)
    folder = edited(resaved(tmp_path / "base", tmp_path / "saved"), edit)
    with pytest.raises(AdapterError, match=f"tokenizer differs from the base model's: .*{message}") as refused:
        check(folder, base)
    assert "Train with the base model's own" in str(refused.value)


SAME: dict[str, Edit] = {
    "defaults left out": lambda d: d["model"].pop("dropout"),
    "defaults filled in": lambda d: d["model"].update(ignore_merges=False, continuing_subword_prefix=""),
    "merges as texts": lambda d: d["model"].update(merges=[" ".join(pair) for pair in _pairs(d)]),
    "merges as pairs": lambda d: d["model"].update(merges=_pairs(d)),
    "how it was batched": lambda d: d.update(padding={"strategy": "BatchLongest"}, truncation={"max_length": 8}),
    "another end of texts": lambda d: d.update(post_processor=None, decoder=None),
    "a pattern that finds the same": lambda d: d.update(normalizer=_in_sequence(d["normalizer"])),
}  # fmt: skip


def _pairs(document: dict[str, Any]) -> list[list[str]]:
    return [one.split(" ") if isinstance(one, str) else one for one in document["model"]["merges"]]


def _in_sequence(step: Any) -> Any:
    """The step, and behind it one that finds nothing in any text."""
    nothing = {"type": "Replace", "pattern": {"String": "\u0007\u0007\u0007"}, "content": ""}
    return {"type": "Sequence", "normalizers": [*([step] if step else []), nothing]}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_written_otherwise_is_no_drift(tmp_path: Path, family: str, kind: str) -> None:
    base = based(tmp_path / "base", family)
    (tmp_path / "carried").mkdir()
    write_tokenizer(tmp_path / "carried", family)
    check(edited(tmp_path / "carried", SAME[kind]), base)


def test_a_pattern_that_explodes_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    base = based(tmp_path / "base", "qwen3")
    endless = {"type": "Split", "pattern": {"Regex": r"(?:(?:\w+\W*)+)+\d\d\d\d\d\d!"}, "behavior": "Isolated"}
    folder = edited(resaved(tmp_path / "base", tmp_path / "saved"), lambda d: d.update(pre_tokenizer=endless))
    with pytest.raises(AdapterError):
        check(folder, base)


def test_a_push_tries_a_tokenizer_that_is_written_otherwise_within_its_own_process(tmp_path: Path) -> None:
    base = based(tmp_path / "base", "gemma3")
    with Installation.at(tmp_path / "desk") as desk:
        for kind, edit in (("a", SAME["a pattern that finds the same"]), ("b", DRIFT["lower case"][0])):
            folder = write_adapter(tmp_path / kind)
            write_tokenizer(folder, "gemma3")
            (folder / "config.json").unlink()
            request = PushRequest("sql", str(edited(folder, edit)))
            if kind == "a":
                assert desk.publisher.push(request, actor="ml", base=base).created
                continue
            with pytest.raises(AdapterError, match="apart otherwise") as refused:
                desk.publisher.push(request, actor="ml", base=base)
            assert refused.value.reason == "drift"


def test_a_template_where_the_base_has_none_says_where_it_belongs(tmp_path: Path) -> None:
    base = based(tmp_path / "base", "qwen3")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(AdapterError, match=r"which has none\. Serve the base model with it, as base\.chat_template"):
        check(tmp_path / "a", base)
    served = BaseLayout.of_folder(tmp_path / "base", chat_template=tmp_path / "a" / "chat_template.jinja")
    assert served is not None
    (tmp_path / "a" / "chat_template.jinja").write_bytes(b"\xef\xbb\xbf{{ messages }}\r\n")
    check(tmp_path / "a", served)
