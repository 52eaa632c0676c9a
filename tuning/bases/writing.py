"""The writing of an imported base as a folder that transformers and vLLM load."""

import json
from dataclasses import dataclass
from pathlib import Path

from compressed_tensors.quantization import QuantizationScheme

from patchbay.tuning.bases.gguf_file import ReadBase
from patchbay.tuning.bases.quantize import FILE_MODE, Tensors, quantization_config, write_config, write_weights

_LOADING = ("is_local", "local_files_only", "name_or_path")
_GENERATION = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True, slots=True)
class Stored:
    """The tensors of a base as they are stored. `scheme`: how linear layers are packed, None if they are not;
    `ignored`: the linear layers that are not."""

    tensors: Tensors
    scheme: QuantizationScheme | None
    ignored: tuple[str, ...]


def write_base(base: ReadBase, stored: Stored, folder: Path) -> None:
    """Writes configuration, weights, tokenizer with its chat template, and where generation begins and ends."""
    quantization = quantization_config(stored.scheme, stored.ignored) if stored.scheme is not None else None
    write_config(base.model, folder, quantization)
    write_weights(stored.tensors, folder)
    base.tokenizer.model_max_length = base.model.config.max_position_embeddings
    base.tokenizer.save_pretrained(str(folder))
    _tidy(folder / "tokenizer_config.json")
    known = base.model.generation_config.to_diff_dict()
    ids = {name: known[name] for name in _GENERATION if known.get(name) is not None}
    (folder / "generation_config.json").write_text(f"{json.dumps(ids, indent=2)}\n", encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(FILE_MODE)


def _tidy(path: Path) -> None:
    """Leaves out how the tokenizer was loaded here, which is nobody else's."""
    known = json.loads(path.read_bytes())
    kept = {name: value for name, value in known.items() if name not in _LOADING}
    path.write_text(f"{json.dumps(kept, indent=2, sort_keys=True)}\n", encoding="utf-8")
