"""The layout of a base model: its modules, their sizes, its tokenizer and chat template.

Of its weights only headers are read, and samples for its fingerprint.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.embeddings import embedding_hashes
from patchbay.adapters.checks.fingerprint import fingerprint
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.checks.safetensors import Tensor, read_header
from patchbay.adapters.checks.strict_json import decode
from patchbay.adapters.checks.tokenizer import Tokenizer, read_tokenizer
from patchbay.adapters.checks.wording import chat_template, read_text, tokenizer_hash
from patchbay.core.errors import AdapterError

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_MAX_INDEX_BYTES = 64 * 1024**2
# Where a module's weights are whole, packed by compressed-tensors, or packed by GPTQ and AWQ.
_WEIGHTS = (".weight", ".weight_packed", ".qweight")
# Packed formats without a shape of their own use these, so their tensors' shapes are not the module's.
_OPAQUE = frozenset({"U8", "I32", "F4"})
# Checkpoints and the classes that train them wrap the same layers differently, and vLLM maps one to the other.
_WRAPPERS = frozenset({"model", "language_model", "transformer"})
Shape = tuple[int, int]
_Found = tuple[Shape | None, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class BaseLayout:
    """The facts of a base model that an adapter must fit.

    `modules`: the two sizes of every module's weight, rows and columns, or None where its format does not tell;
    `unwrapped`: the modules by their names without wrappers, None for a name that is ambiguous; `tokenizer`: what its
    tokenizer does; `chat_template`: the one that is served with; `embeddings`: hashes of samples of its embeddings.
    """

    fingerprint: str
    modules: Mapping[str, Shape | None]
    unwrapped: Mapping[tuple[str, ...], str | None]
    tokenizer: Tokenizer | None = None
    chat_template: str | None = None
    embeddings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path, *, chat_template: Path | None = None) -> "BaseLayout | None":
        """Reads the layout of the model in `folder`.

        Returns None where there is none in safetensors that can be read: then it is the engine that says what is wrong
        with it. `chat_template`: a file that is used in place of its own.
        """
        try:
            found = {name: (shape, hashes) for name, shape, hashes in _modules(folder)}
            found = _with_tied_head(found)
            tokenizer = read_tokenizer(folder, DEFAULT_LIMITS)
            template = _served_template(folder, chat_template)
            name = fingerprint(folder, weight_files(folder), tokenizer_hash(folder, DEFAULT_LIMITS))
        except (AdapterError, OSError, ValueError):
            return None
        modules = {module: shape for module, (shape, _) in found.items()}
        embeddings = {module: hashes for module, (_, hashes) in found.items() if hashes}
        return cls(name, modules, _by_unwrapped(modules), tokenizer, template, embeddings) if modules else None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "BaseLayout":
        """Rebuilds the layout that `to_json` wrote."""
        modules = {name: (shape[0], shape[1]) if shape else None for name, shape in document["modules"].items()}
        return cls(
            document["fingerprint"],
            modules,
            _by_unwrapped(modules),
            Tokenizer.from_json(document.get("tokenizer_parts")),
            document.get("chat_template"),
            {name: tuple(hashes) for name, hashes in (document.get("embeddings") or {}).items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types, to keep where the base's files are not."""
        return {
            "fingerprint": self.fingerprint,
            "modules": {name: list(shape) if shape else None for name, shape in self.modules.items()},
            "tokenizer_parts": self.tokenizer.to_json() if self.tokenizer is not None else None,
            "chat_template": self.chat_template,
            "embeddings": {name: list(hashes) for name, hashes in self.embeddings.items()},
        }

    def find(self, module: str) -> str | None:
        """Finds the base's own name of `module`: the same, or the only one that differs by nothing but its wrappers."""
        return module if module in self.modules else self.unwrapped.get(_unwrapped(module))


def _served_template(folder: Path, chosen: Path | None) -> str | None:
    if chosen is not None:
        return read_text(chosen, DEFAULT_LIMITS)
    own = chat_template(folder, DEFAULT_LIMITS)
    return own[1] if own else None


def _modules(folder: Path) -> Iterator[tuple[str, Shape | None, tuple[str, ...]]]:
    for file in weight_files(folder):
        tensors = read_header(file)
        for name, tensor in tensors.items():
            for suffix in _WEIGHTS:
                if name.endswith(suffix):
                    module = name.removesuffix(suffix)
                    packed = tensors.get(f"{module}.weight_shape") if suffix == ".weight_packed" else None
                    shape = _stored_shape(packed, file) if packed else _plain_shape(tensor)
                    yield module, shape, embedding_hashes(file, module, tensor) if shape else ()


def weight_files(folder: Path) -> Iterable[Path]:
    """Lists the files of the weights of the model in `folder`. Raises AdapterError, OSError or ValueError where there
    are none."""
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    with (folder / _INDEX).open("rb") as file:
        index: Any = decode(file.read(_MAX_INDEX_BYTES))
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise AdapterError(f"{folder / _INDEX} has no weight_map.")
    return [folder / Path(name).name for name in sorted(set(names.values()))]


def _plain_shape(tensor: Tensor) -> Shape | None:
    if len(tensor.shape) != 2 or tensor.dtype in _OPAQUE:
        return None
    return tensor.shape[0], tensor.shape[1]


def _stored_shape(tensor: Tensor, file: Path) -> Shape | None:
    """Reads the values of a `weight_shape`: two whole numbers, the shape before packing."""
    width = {"I64": 8, "I32": 4}.get(tensor.dtype)
    if width is None or tensor.shape != (2,):
        return None
    with file.open("rb") as reader:
        reader.seek(tensor.start)
        raw = reader.read(2 * width)
    return int.from_bytes(raw[:width], "little", signed=True), int.from_bytes(raw[width:], "little", signed=True)


def _with_tied_head(modules: dict[str, _Found]) -> dict[str, _Found]:
    """Adds a head that shares the embedding's weights, and so has none of its own in the files."""
    embeddings = [name for name in modules if name.endswith("embed_tokens")]
    if "lm_head" in modules or len(embeddings) != 1:
        return modules
    return modules | {"lm_head": modules[embeddings[0]]}


def _by_unwrapped(modules: Iterable[str]) -> dict[tuple[str, ...], str | None]:
    found: dict[tuple[str, ...], str | None] = {}
    for module in modules:
        key = _unwrapped(module)
        found[key] = None if key in found else module
    return found


def _unwrapped(module: str) -> tuple[str, ...]:
    return tuple(part for part in module.split(".") if part not in _WRAPPERS)
