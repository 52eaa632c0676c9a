"""The demo's base in full precision, for processors that vLLM has no int4 kernel for (on x86 it needs AVX-512)."""

import json
import shutil
from pathlib import Path

_COPIED = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def dense_base(base: Path, folder: Path) -> Path:
    """Writes the weights of the int4 `base`, as they serve, to `folder` as float32, with all that belongs to them."""
    from safetensors.torch import load_file, save_file

    from adapters.demo.quantize import int4_scheme, unpack

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (group,) = config.pop("quantization_config")["config_groups"].values()
    weights = unpack(load_file(base / "model.safetensors"), int4_scheme(group["weights"]["group_size"]))
    folder.mkdir(parents=True)
    dense = {name: one.float().contiguous() for name, one in weights.items()}
    save_file(dense, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}), encoding="utf-8")
    for name in _COPIED:
        shutil.copy(base / name, folder)
    return folder
