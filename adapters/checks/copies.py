"""The check of the base's embeddings that PEFT saves beside a LoRA: they are the base's own.

PEFT writes them where an adapter targets an embedding or the head, or where the vocabulary was resized
(`save_embedding_layers="auto"`). No engine loads them, so they may be there only where they change nothing.
"""

from collections.abc import Iterable
from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.config import FOLD_HINT
from patchbay.adapters.checks.embeddings import FLOAT_BYTES, copied_module, hash_of, sample_of
from patchbay.adapters.checks.safetensors import Tensor
from patchbay.adapters.checks.strict_json import shown
from patchbay.core.errors import AdapterError

_HINT = "Save the adapter with save_embedding_layers=False if the embeddings were not trained."


def check_copies(tensors: Iterable[Tensor], base: BaseLayout | None, path: Path) -> None:
    """Checks that every copy of an embedding among the `tensors` of the file `path` is the base's own.

    A copy may have more rows, for tokens that the base's tokenizer never gives. Raises AdapterError where one differs,
    or where there is nothing to compare it with.
    """
    for tensor in tensors:
        if (module := copied_module(tensor.name)) is not None:
            _check_copy(tensor, module, base, path)


def _check_copy(tensor: Tensor, module: str, base: BaseLayout | None, path: Path) -> None:
    what = f"{path}: the tensor {shown(tensor.name)} holds the base model's whole {shown(module)}"
    if base is None:
        raise AdapterError(
            f"{what}, and no base model is known to compare it with.", hint=f"Name the base: --base FOLDER. {_HINT}"
        )
    name = base.find(module)
    shape, hashes = (base.modules.get(name), base.embeddings.get(name)) if name is not None else (None, None)
    if shape is None or not hashes:
        raise AdapterError(f"{what}, which cannot be compared with the base model's.", hint=_HINT)
    fits = tensor.dtype in FLOAT_BYTES and len(tensor.shape) == 2
    if not fits or tensor.shape[0] < shape[0] or tensor.shape[1] != shape[1]:
        raise AdapterError(
            f"{what} in the shape {list(tensor.shape)}, {tensor.dtype}, expected {list(shape)}.", hint=_HINT
        )
    if hash_of(sample_of(path, tensor, shape[0])) not in hashes:
        raise AdapterError(
            f"{what}, and it differs from the base model's own: an engine would serve the base's.",
            hint="Check that the adapter was trained for this base model. If the embeddings were trained on purpose: "
            + FOLD_HINT,
        )
