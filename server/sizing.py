"""How many slots fit: pure arithmetic over the base model's shape."""

from dataclasses import dataclass

_LORA_BYTES = 2
_LEAST_SLOTS = 4


@dataclass(frozen=True, slots=True)
class BaseShape:
    """The dimensions of a decoder-only base model; `kv_width`: key-value heads times their size."""

    layers: int
    hidden: int
    intermediate: int
    attention_width: int
    kv_width: int
    vocabulary: int


def slot_bytes(shape: BaseShape, rank: int) -> int:
    """What one slot costs: A and B, rank times (inputs plus outputs), for every module, in 16-bit numbers."""
    attention = 2 * (shape.hidden + shape.attention_width) + 2 * (shape.hidden + shape.kv_width)
    feed_forward = 3 * (shape.hidden + shape.intermediate)
    embedding = shape.vocabulary + shape.hidden
    return rank * _LORA_BYTES * (shape.layers * (attention + feed_forward) + embedding)


def slots_that_fit(cost_bytes: int, memory_bytes: int, *, declared: int, most: int) -> int:
    """As many slots as fit `memory_bytes`, up to what is declared, but room for a few that are loaded later; at least
    one, at most `most`."""
    wanted = min(max(declared, _LEAST_SLOTS), most)
    return max(1, min(wanted, memory_bytes // max(1, cost_bytes)))
