"""The choice of an adapter's own files among all that a source holds, by their names alone. Pure.

An adapter's own files are those that are read or kept: its configuration, its weights, its manifest, its parity
file, its signature, its tokenizer and its documents, all in one folder. Whatever else a trainer leaves there is never
loaded, so it is left out and named, and refuses nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

from patchbay.adapters.checks.strict_json import shown
from patchbay.core.errors import AdapterError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MANIFEST_FILE = "patchbay-adapter.yaml"
SIGNATURE_FILE = "model.sig"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
TEMPLATE_FILE = "chat_template.jinja"
PARITY_FILE = "patchbay-parity.json"
# The most names of what is left out that are told.
MOST_NAMED = 200
_OWN = frozenset(
    {
        CONFIG_FILE,
        WEIGHTS_FILE,
        MANIFEST_FILE,
        SIGNATURE_FILE,
        TOKENIZER_FILE,
        TOKENIZER_CONFIG_FILE,
        SPECIAL_TOKENS_FILE,
        TEMPLATE_FILE,
        PARITY_FILE,
        "added_tokens.json",
        "merges.txt",
        "tokenizer.model",
        "vocab.json",
    }
)
_DOCUMENT = re.compile(r"(?:readme|licen[cs]e|notice|copying)(?:[._-].*)?|[^.].*\.md", re.IGNORECASE)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_WEIGHTS = ("adapter_model", "pytorch_model", "model")
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a source, as far as they are an adapter.

    `root`: the folder that the adapter is in, below the source's top, "" for the top itself; `own`: the names of its
    files there; `left_out`: what else there is, a folder with a slash behind it, without what is hidden.
    """

    root: str
    own: tuple[str, ...]
    left_out: tuple[str, ...]


def is_own(name: str) -> bool:
    """Whether a file called `name` is an adapter's own."""
    return name in _OWN or _DOCUMENT.fullmatch(name) is not None


def is_document(name: str) -> bool:
    """Whether a file called `name` is an adapter's own, though nothing reads it: a README, a licence."""
    return name not in _OWN and is_own(name)


def contents_of(names: Iterable[str], where: str, *, pick: str | None = None) -> Contents:
    """Chooses the adapter among the files that the source `where` holds.

    `names`: the files' names below its top, with slashes; that of a folder ends with one; `pick`: the folder that
    somebody has picked. Raises AdapterError where there are several adapters, none where `pick` says, or one without
    weights that are safetensors.
    """
    paths = {name: PurePosixPath(name).parts for name in names}
    files = {name: parts for name, parts in paths.items() if not name.endswith("/")}
    root = _root(list(files.values()), where, PurePosixPath(pick).parts if pick else ())
    beside = {name: parts[-1] for name, parts in files.items() if parts[:-1] == root and parts}
    _check_weights(sorted(beside.values()), "/".join([where.rstrip("/"), *root]))
    own = {name: file for name, file in beside.items() if is_own(file)}
    left = {_entry(name, parts, root) for name, parts in paths.items() if name not in own}
    return Contents("/".join(root), tuple(sorted(own.values())), tuple(sorted(left - {""})[:MOST_NAMED]))


def _root(paths: Sequence[tuple[str, ...]], where: str, pick: tuple[str, ...]) -> tuple[str, ...]:
    found = sorted({parts[:-1] for parts in paths if parts[-1:] == (CONFIG_FILE,)}, key=_natural)
    chosen = [root for root in found if root[: len(pick)] == pick and not _is_hidden(root[len(pick) :])]
    if pick and not chosen:
        raise AdapterError(
            f"{where} holds no adapter in {shown('/'.join(pick))}: no {CONFIG_FILE} is there{_listed(found)}.",
            hint="Pick a folder that PEFT saved.",
        )
    if not chosen:
        return _only_top(paths)
    first = min(chosen, key=len)
    if all(root[: len(first)] == first for root in chosen):
        return first
    last = "/".join(chosen[-1])
    raise AdapterError(
        f"{where} holds {len(chosen)} adapters{_listed(chosen)}.",
        hint=f"Pick one: put #{shown(last)} behind the source.",
    )


def _only_top(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The one folder that all is in, where there is one: what is missing is missing there."""
    tops = {parts[0] for parts in paths if parts and not parts[0].startswith(".")}
    return (tops.pop(),) if len(tops) == 1 and any(len(parts) > 1 for parts in paths) else ()


def _check_weights(names: Sequence[str], where: str) -> None:
    """Checks that weights that an engine reads are among the `names` of the folder `where`."""
    if WEIGHTS_FILE in names:
        return
    others = [name for name in names if name.endswith(".safetensors")]
    shards = [name for name in others if "-of-" in name]
    shards += [name for name in names if name.endswith(".safetensors.index.json")]
    pickles = [name for name in names if name.lower().endswith(_PICKLES) and name.startswith(_WEIGHTS)]
    if shards:
        raise AdapterError(
            f"{where}/{shown(shards[0])}: the weights are sharded, expected all of them in {WEIGHTS_FILE}.",
            hint="Save them again with a larger max_shard_size.",
        )
    if pickles and not others:
        raise AdapterError(
            f"{where}/{shown(pickles[0])} is a pickle, which can run code when it is loaded; only safetensors are "
            "taken.",
            hint=f"Save it again as {WEIGHTS_FILE}.",
        )
    hint = f"Rename {shown(others[0])} if it holds the weights." if others else "Give a folder that PEFT saved."
    raise AdapterError(f"{where}/{WEIGHTS_FILE} does not exist.", hint=hint)


def _entry(name: str, parts: tuple[str, ...], root: tuple[str, ...]) -> str:
    """The file or folder that the name is in and the adapter is not, seen from the adapter where it is beside it.

    It is "" for what is hidden, and for the folders that the adapter is in.
    """
    depth = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, root, strict=False)))
    seen = parts[depth : depth + 1] if depth == len(root) else parts[: depth + 1]
    if len(parts) == depth or _is_hidden(parts[: depth + 1]):
        return ""
    return "/".join(seen) + ("/" if len(parts) > depth + 1 or name.endswith("/") else "")


def _is_hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _natural(root: tuple[str, ...]) -> list[tuple[str, int]]:
    """The order that people expect: checkpoint-500 before checkpoint-1000."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d{0,18})", "/".join(root))]


def _listed(roots: Sequence[tuple[str, ...]]) -> str:
    if not roots:
        return ""
    names = [shown("/".join(root)) or "its top" for root in roots]
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f": {', '.join(names[:_MOST_LISTED])}{more}"
