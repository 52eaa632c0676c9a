"""The shape of a base model, as far as memory and time of its training depend on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from patchbay.core.errors import ConfigError

_CONFIG: Final = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedShape:
    """A Llama-like model's sizes, as its config.json has them. `quantized`: whether its weights are packed."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool = False
    quantized: bool = False

    @property
    def linears(self) -> Mapping[str, tuple[int, int]]:
        """The linear modules of one layer: inputs and outputs of each."""
        attention, kept = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (self.hidden, attention),
            "k_proj": (self.hidden, kept),
            "v_proj": (self.hidden, kept),
            "o_proj": (attention, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }

    @property
    def linear_weights(self) -> int:
        """The weights in the linear modules of all layers."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears.values())

    @property
    def embedding_weights(self) -> int:
        """The weights of the embedding and the head."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def kept_of_a_token(self) -> int:
        """The numbers that one layer keeps of a token until the backward pass.

        Counted over the layer's operations, with attention that never holds its matrix (Dao et al., arXiv 2205.14135)
        and frozen weights: inputs of norms and adapters, queries, keys, values, and four of the inner size. Compare
        Korthikanti et al., arXiv 2205.05198, who count 17 of the hidden size for a plain transformer.
        """
        return 8 * self.hidden + 2 * (self.heads + 2 * self.kv_heads) * self.head_size + 5 * self.inner


# The sizes of Llama 3's family, for an estimate before anything is downloaded.
KNOWN: Final[Mapping[str, TrainedShape]] = MappingProxyType(
    {
        name: TrainedShape(
            hidden=hidden,
            inner=inner,
            layers=layers,
            heads=heads,
            kv_heads=8,
            head_size=size,
            vocabulary=128_256,
            tied=tied,
        )
        for name, hidden, inner, layers, heads, size, tied in (
            ("llama-1b", 2048, 8192, 16, 32, 64, True),
            ("llama-3b", 3072, 8192, 28, 24, 128, True),
            ("llama-8b", 4096, 14_336, 32, 32, 128, False),
            ("llama-70b", 8192, 28_672, 80, 64, 128, False),
        )
    }
)


def read_shape(folder: Path) -> TrainedShape:
    """Reads the shape of the model in `folder`. Raises ConfigError where its config.json does not tell it."""
    path = folder / _CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        text = config.get("text_config") or config
        heads = text["num_attention_heads"]
        return TrainedShape(
            hidden=text["hidden_size"],
            inner=text["intermediate_size"],
            layers=text["num_hidden_layers"],
            heads=heads,
            kv_heads=text.get("num_key_value_heads") or heads,
            head_size=text.get("head_dim") or text["hidden_size"] // heads,
            vocabulary=text["vocab_size"],
            tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
            quantized="quantization_config" in config,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} does not tell the base model's sizes: {error!r}.",
            hint=f"Name a known shape with --like: {', '.join(KNOWN)}.",
        ) from error
