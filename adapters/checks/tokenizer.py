"""The comparison of two tokenizers by what they do: their tokens, their merges, and how they take a text apart.

The same tokenizer is written differently by other versions of the libraries: with defaults left out or filled in, with
merges as texts or pairs, with its steps as others that do the same. All of that is no difference.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.wording import read_object
from patchbay.adapters.contents import SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE

_WITHOUT_EFFECT = frozenset({"vocab", "merges", "dropout", "cache_capacity"})
# What the library takes where a step does not say it.
_STEP_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "ByteLevel": {"add_prefix_space": True, "use_regex": True},
    "Metaspace": {"replacement": "▁", "prepend_scheme": "always", "split": True},
    "Split": {"invert": False},
    "Digits": {"individual_digits": False},
    "BertNormalizer": {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
}
_PAD = re.compile(r"\W*pad(?:[\W_]*token)?\W*", re.IGNORECASE)
_BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The facts of a tokenizer, to compare another with.

    `vocabulary`, `merges`: their SHA-256; `size`: its ids are below that; `added`: its added tokens' ids, which are
    found in a text before anything else; `rules`: how it normalises and splits a text, as its file has it.
    """

    vocabulary: str
    merges: str
    size: int
    added: Mapping[str, int]
    rules: Mapping[str, Any]

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> "Tokenizer | None":
        """Rebuilds what `to_json` wrote; None where nothing was."""
        return cls(**document) if document is not None else None

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {name: getattr(self, name) for name in self.__slots__}


def read_tokenizer(folder: Path, limits: FolderLimits) -> Tokenizer | None:
    """Reads the facts of the tokenizer in `folder`, None where there is no tokenizer.json.

    Raises AdapterError where its file cannot be read.
    """
    found = TokenizerFile.read(folder, limits)
    return found.facts() if found is not None else None


class TokenizerFile:
    """The tokens and rules in a tokenizer.json, read once, since some have half a million merges."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._tokens = _tokens(document)
        self._added = _added(document)
        self._merges = _hash(_merges(document))
        self.rules = _rules(document, self._tokens)

    @classmethod
    def read(cls, folder: Path, limits: FolderLimits) -> "TokenizerFile | None":
        """Reads the one in `folder`, None where there is none. Raises AdapterError where it cannot be read."""
        path = folder / TOKENIZER_FILE
        return cls(read_object(path, limits.tokenizer_bytes)) if path.is_file() else None

    def facts(self, *, below: int | None = None) -> Tokenizer:
        """Returns the facts, where `below` is given of the tokens with ids below that alone."""
        kept = {token: number for token, number in self._all().items() if below is None or number < below}
        return Tokenizer(
            vocabulary=_hash(sorted(kept.items(), key=lambda item: item[::-1])),
            merges=self._merges,
            size=max(self._all().values(), default=-1) + 1,
            added={token: number for token, number in self._added.items() if token in kept},
            rules=self.rules,
        )

    def from_on(self, size: int) -> frozenset[str]:
        """Lists the tokens whose ids are `size` and above."""
        return frozenset(token for token, number in self._all().items() if number >= size)

    def _all(self) -> dict[str, int]:
        return self._tokens | self._added


def difference(carried: Tokenizer, base: Tokenizer) -> str | None:
    """Says in what the tokens of `carried`, read below the size of `base`, differ from those of `base`. Pure.

    Returns None where they do not. How the two take a text apart is not looked at: see `same_rules`.
    """
    if carried.vocabulary != base.vocabulary:
        return _added_difference(carried.added, base.added) or "its vocabulary does"
    if carried.merges != base.merges:
        return "its merges do"
    return _added_difference(carried.added, base.added)


def without_padding(tokens: Iterable[str], folder: Path, limits: FolderLimits, template: str) -> tuple[str, ...]:
    """Lists those of the new `tokens` that are not just for padding, as the other files in `folder` have it.

    No text has a token for padding, unless the chat `template` writes it. Raises AdapterError where a file cannot be
    read.
    """
    pads = _pad_tokens(folder, limits)
    unused = {token for token in tokens if token in pads or _PAD.fullmatch(token)}
    return tuple(sorted(token for token in tokens if token not in unused or token in template))


def same_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two tokenizers with the same tokens take every text apart in the same way, by their rules alone. Pure.

    Where not, they may still do so: only their tokens tell.
    """
    return _plain_rules(one) == _plain_rules(other)


def _tokens(document: Mapping[str, Any]) -> dict[str, int]:
    model = document.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):
        # Unigram's pieces have scores, which decide as much as the pieces.
        return {json.dumps(piece): number for number, piece in enumerate(vocabulary)}
    found = vocabulary if isinstance(vocabulary, dict) else {}
    return {token: number for token, number in found.items() if type(number) is int}


def _added(document: Mapping[str, Any]) -> dict[str, int]:
    found = [entry for entry in document.get("added_tokens") or () if isinstance(entry, dict)]
    return {str(one.get("content")): one["id"] for one in found if type(one.get("id")) is int}


def _merges(document: Mapping[str, Any]) -> list[Any]:
    """Lists the merges, which are `"a b"` in older versions' files, `["a", "b"]` in newer."""
    model = document.get("model")
    merges = model.get("merges") if isinstance(model, dict) else None
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges or () if merge]


def _rules(document: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
    model = document.get("model")
    options = model.items() if isinstance(model, dict) else ()
    rules = {key: document.get(key) for key in ("normalizer", "pre_tokenizer")}
    rules["model"] = {key: value for key, value in options if key not in _WITHOUT_EFFECT}
    # Then no piece is ever unknown.
    rules["bytes"] = set(_BYTE_TOKENS) <= tokens.keys()
    return rules


def _plain_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The rules with defaults filled in, without what has no effect, and one of two ways to write the same."""
    normalizer, splitter = _steps(rules.get("normalizer")), _steps(rules.get("pre_tokenizer"))
    if not splitter and (mark := _prepended(normalizer)):
        # transformers 5 writes Llama's tokenizer so, and reads it so from either.
        normalizer = []
        splitter = [{"type": "Metaspace", "replacement": mark, "prepend_scheme": "first", "split": False}]
    model = {key: value for key, value in (rules.get("model") or {}).items() if value}
    if rules.get("bytes") and model.get("byte_fallback"):
        model.pop("unk_token", None)
        model.pop("fuse_unk", None)
    return {"normalizer": normalizer, "splitter": splitter, "model": {"type": "BPE"} | model}


def _steps(step: object) -> list[dict[str, Any]]:
    """Lists the steps of a normalizer or a pre-tokenizer, sequences of them taken apart."""
    if not isinstance(step, dict):
        return []
    if step.get("type") == "Sequence":
        inner = step.get("normalizers") or step.get("pretokenizers")
        return [found for one in (inner if isinstance(inner, list) else ()) for found in _steps(one)]
    plain = dict(_STEP_DEFAULTS.get(str(step.get("type")), {})) | {k: v for k, v in step.items() if k != "trim_offsets"}
    if step.get("type") == "Metaspace" and isinstance(prefix := plain.pop("add_prefix_space", None), bool):
        plain["prepend_scheme"] = step.get("prepend_scheme") or ("always" if prefix else "never")
    plain.pop("str_rep", None)
    return [plain]


def _prepended(normalizer: list[dict[str, Any]]) -> str | None:
    """The mark that a normalizer puts in front and in place of every blank, where that is all it does."""
    if len(normalizer) != 2:
        return None
    first, second = normalizer
    mark = first.get("prepend")
    replaces = {"type": "Replace", "pattern": {"String": " "}, "content": mark}
    return mark if first == {"type": "Prepend", "prepend": mark} and second == replaces else None


def _added_difference(carried: Mapping[str, int], base: Mapping[str, int]) -> str | None:
    for token in sorted(carried.keys() | base.keys()):
        if token not in carried:
            return f"it has no added token {shown(token)}"
        if token not in base:
            return f"it has the added token {shown(token)}"
        if carried[token] != base[token]:
            return f"its added token {shown(token)} is {carried[token]}, not {base[token]}"
    return None


def _pad_tokens(folder: Path, limits: FolderLimits) -> frozenset[str]:
    found = set()
    for name in (TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_FILE):
        path = folder / name
        if path.is_file():
            token = read_object(path, limits.tokenizer_bytes).get("pad_token")
            found.add(token.get("content") if isinstance(token, dict) else token)
    return frozenset(token for token in found if isinstance(token, str))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
