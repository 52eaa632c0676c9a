"""Hostile adapters: well-formed archives whose weights or configuration would harm others once an engine has them.

Each is pushed, and promoted, so that any that is let through is loaded and answers its golden prompts beside the
bystanders.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.attack.archives import upload
from loadtests.attack.tries import Try

if TYPE_CHECKING:
    import torch

Weights = dict[str, "torch.Tensor"]


def poison(adapter: Path) -> Iterator[Try]:
    """Makes hostile adapters of a good `adapter`, a folder of PEFT's: a push and a promotion each."""
    from safetensors.torch import load_file, save

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    good = load_file(adapter / "adapter_model.safetensors")
    for place, (what, spoil, changes) in enumerate(_spoils()):
        weights = save(spoil({name: tensor.float() for name, tensor in good.items()}), metadata={"format": "pt"})
        name, archive = f"attack-{place}", _archive({**config, **changes}, weights)
        yield upload("adapters", what, "application/x-tar", archive, name=name)
        body = json.dumps({"revision": 1}).encode()
        yield Try("adapters", f"promoting {what}", f"/admin/v1/adapters/{name}/promote", body, door="operators")


def _spoils() -> Iterator[tuple[str, Callable[[Weights], Weights], Mapping[str, Any]]]:
    import torch

    def scaled(a: float, b: float) -> Callable[[Weights], Weights]:
        return lambda weights: {name: tensor * (a if ".lora_A." in name else b) for name, tensor in weights.items()}

    def with_first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Weights], Weights]:
        def changed(weights: Weights) -> Weights:
            name = min(weights)
            return {**weights, name: change(weights[name]).contiguous()}

        return changed

    yield "a product that overflows", scaled(1e38, 1e-38), {}
    yield "both factors huge", scaled(1e18, 1e18), {}
    yield "factors that only the serving type cannot hold", scaled(1e5, 1e-5), {}
    yield "a NaN", with_first(lambda tensor: tensor.index_fill(0, torch.tensor([0]), float("nan"))), {}
    yield "an infinity", with_first(lambda tensor: tensor.index_fill(0, torch.tensor([0]), float("inf"))), {}
    yield "a matrix turned around", with_first(lambda tensor: tensor.T), {}
    yield "a matrix of no rows", with_first(lambda tensor: tensor[:0]), {}
    yield "a matrix too wide", with_first(lambda tensor: torch.cat([tensor, tensor], 1)), {}
    yield "one matrix missing", lambda weights: dict(sorted(weights.items())[1:]), {}
    yield "weights of zero", scaled(0, 0), {}
    yield "a module that is not there", lambda weights: {f"x.{name}": tensor for name, tensor in weights.items()}, {}
    yield "alpha of 1e300", lambda weights: weights, {"lora_alpha": 1e300}
    yield "alpha of text", lambda weights: weights, {"lora_alpha": "16"}
    yield "rank of 10^9", lambda weights: weights, {"r": 10**9}
    yield "rank of 0", lambda weights: weights, {"r": 0}
    yield "a pattern for modules", lambda weights: weights, {"target_modules": "^(a+)+$"}
    yield (
        "ranks by a pattern",
        lambda weights: weights,
        {"rank_pattern": {"^(a+)+$": 4}, "alpha_pattern": {".*": 1e300}},
    )


def _archive(config: Mapping[str, Any], weights: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in (
            ("adapter_config.json", json.dumps(config).encode()),
            ("adapter_model.safetensors", weights),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()
