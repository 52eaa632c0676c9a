"""Small tokenizers as hubs have them: the files of Qwen3, Llama 2 and Gemma 3, with some words each."""

import json
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

FAMILIES = ("qwen3", "llama2", "gemma3")
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_MERGES = ["h e", "l l", "he ll", "hell o"]
_PIECES = [
    *(f"<0x{byte:02X}>" for byte in range(256)), *"▁helowrdab", "he", "ll", "hell", "hello", "▁hello", "▁w",
]  # fmt: skip


def write_tokenizer(folder: Path, family: str) -> None:
    """Writes the tokenizer of that family into `folder`, as its makers did."""
    document, config, kind = {"qwen3": _qwen, "llama2": _llama, "gemma3": _gemma}[family]()
    (folder / "tokenizer.json").write_text(json.dumps(document))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))


def _qwen() -> tuple[dict[str, Any], dict[str, Any], str]:
    merges = [*_MERGES, "Ġ w"]
    pieces = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in merges)]
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"]
    added = [_added(len(pieces) + at, name, special=name[1] == "|") for at, name in enumerate(names)]
    steps = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    words = {"type": "Split", "pattern": {"Regex": _QWEN_WORDS}, "behavior": "Isolated", "invert": False}
    document = {
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [words, {"type": "ByteLevel", **steps}]},
        "post_processor": {"type": "ByteLevel", **steps},
        "decoder": {"type": "ByteLevel", **steps},
        "model": _model(pieces, merges, {"unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": ""}),
    }
    decoder = {str(one["id"]): {key: value for key, value in one.items() if key != "id"} for one in added}
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return _whole(document), config | {"added_tokens_decoder": decoder, "add_prefix_space": False}, "qwen3"


def _llama() -> tuple[dict[str, Any], dict[str, Any], str]:
    pieces = ["<unk>", "<s>", "</s>", *_PIECES]
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    document = {
        "added_tokens": [_added(at, name, normalized=True) for at, name in enumerate(pieces[:3])],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, blanks]},
        "pre_tokenizer": None,
        "post_processor": _begins_with("<s>", 1),
        "decoder": {"type": "Fuse"},
        "model": _model(pieces, [*_MERGES, "▁ hello", "▁ w"], _BYTES),
    }
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None, "legacy": False}
    return _whole(document), config | {"tokenizer_class": "LlamaTokenizer"}, "llama"


def _gemma() -> tuple[dict[str, Any], dict[str, Any], str]:
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<unused{number}>" for number in range(20))]
    pieces = [*names, "\n", "\n\n", *_PIECES]
    merges = [[*merge.split(" ")] for merge in [*_MERGES, "▁ hello", "▁ w", "\n \n"]]
    document = {
        "added_tokens": [_added(at, name, special=at < 5) for at, name in enumerate(names)],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": _begins_with("<bos>", 2),
        "decoder": {"type": "Fuse"},
        "model": _model(pieces, merges, _BYTES | {"ignore_merges": False}),
    }
    config = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return _whole(document), config | {"tokenizer_class": "GemmaTokenizer"}, "gemma3_text"


_BYTES: dict[str, Any] = {
    "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
    "byte_fallback": True,
}  # fmt: skip


def _model(pieces: list[str], merges: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    own = {"type": "BPE", "dropout": None, "fuse_unk": False, "byte_fallback": False}
    return own | options | {"vocab": {piece: at for at, piece in enumerate(pieces)}, "merges": merges}


def _added(number: int, content: str, *, special: bool = True, normalized: bool = False) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False}
    return {"id": number, "content": content, **plain, "normalized": normalized, "special": special}


def _begins_with(token: str, number: int) -> dict[str, Any]:
    first, one = {"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    pair = [first, one, {"Sequence": {"id": "B", "type_id": 0}}]
    known = {token: {"id": token, "ids": [number], "tokens": [token]}}
    return {"type": "TemplateProcessing", "single": [first, one], "pair": pair, "special_tokens": known}


def _whole(document: dict[str, Any]) -> dict[str, Any]:
    return {"version": "1.0", "truncation": None, "padding": None} | document
