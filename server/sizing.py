"""The number of adapter slots that fit into memory, computed from the base model's shape. Pure."""

from dataclasses import dataclass

_LORA_BYTES = 2
# Room for adapters that are loaded later, even where few are declared.
_MIN_SLOTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseShape:
    """The dimensions of a decoder-only base model; `kv_width`: key-value heads times their size."""

    layers: int
    hidden: int
    intermediate: int
    attention_width: int
    kv_width: int
    vocabulary: int


def slot_bytes(shape: BaseShape, rank: int) -> int:
    """Returns the bytes of one slot: A and B, rank times (inputs plus outputs), for every module, in 16-bit numbers."""
    attention = 2 * (shape.hidden + shape.attention_width) + 2 * (shape.hidden + shape.kv_width)
    feed_forward = 3 * (shape.hidden + shape.intermediate)
    embedding = shape.vocabulary + shape.hidden
    return rank * _LORA_BYTES * (shape.layers * (attention + feed_forward) + embedding)


def slots_that_fit(cost_bytes: int, memory_bytes: int, *, declared: int, most: int) -> int:
    """Returns the number of slots that fit into `memory_bytes`: at least one, at most `most`.

    `cost_bytes`: the memory of one slot. There are no more slots than `declared` adapters, but always room for a few
    that are loaded later.
    """
    wanted = min(max(declared, _MIN_SLOTS), most)
    return max(1, min(wanted, memory_bytes // max(1, cost_bytes)))
