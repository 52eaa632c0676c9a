"""The adapters in one modelled replica. Evictions are decided by the replica's own code (`server.slots`)."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from patchbay.adapters.checks.check import AdapterSummary
from patchbay.core.names import parse_reference
from patchbay.core.replica import Tier
from patchbay.server.engine import EngineLora
from patchbay.server.slots import SlotEntry, room_for_one
from patchbay.server.staging import StagedAdapter

_SUMMARY = AdapterSummary(16, 32, frozenset())


@dataclass(frozen=True, slots=True)
class Size:
    """The sizes of a replica.

    `most`: streams at a time; `slots`: adapters in a batch; `places`: adapters in host memory; `step`: tokens of
    prompts that a step takes at most; `prefixes`: beginnings of prompts that its KV cache keeps, each of which saves
    `shared` of a prompt.
    """

    most: int = 64
    slots: int = 8
    places: int = 32
    step: int = 2048
    prefixes: int = 200
    shared: float = 0.5


class Places:
    """Tracks which adapters are where. `clock`: seconds."""

    def __init__(self, size: Size, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._entries: dict[str, SlotEntry] = {}
        self._slots: OrderedDict[str, None] = OrderedDict()
        self._batch: Counter[str] = Counter()
        self.loads = 0

    @property
    def batch(self) -> int:
        """Adapters in the batch."""
        return len(self._batch)

    @property
    def tiers(self) -> Mapping[str, Tier]:
        """The nearest memory of each adapter that is resident, as the replica's status tells it."""
        return {name: "slot" if name in self._slots else "cpu" for name in self.resident()}

    def resident(self) -> Iterator[str]:
        """Those that are in host memory."""
        return (name for name, entry in self._entries.items() if entry.lora is not None)

    def has(self, name: str) -> bool:
        """Whether it is in host memory."""
        entry = self._entries.get(name)
        return entry is not None and entry.lora is not None

    def hold(self, name: str) -> bool:
        """Holds it for a request, and says whether it has to be loaded first."""
        known = name in self._entries
        self._entry(name).references += 1
        return not known

    def release(self, name: str) -> None:
        """A request has ended that held it."""
        entry = self._entries[name]
        entry.references -= 1
        entry.last_used = self._clock()

    def load(self, name: str) -> bool:
        """Makes it resident, evicting who has to go; False where all places are in use."""
        while (room := room_for_one(self._entries.values(), self._size.places, self._in_batch)) is not True:
            if room is False:
                return False
            evicted = room.engine_name
            self._slots.pop(evicted, None)
            del self._entries[evicted]
        entry = self._entry(name)
        entry.lora, entry.last_used = EngineLora(name, self.loads + 1, Path()), self._clock()
        self.loads += 1
        self._to_slot(name)
        return True

    def may_join(self, name: str) -> bool:
        """Whether the batch may take a stream of it."""
        return self.has(name) and (name in self._batch or len(self._batch) < self._size.slots)

    def join(self, name: str) -> bool:
        """Takes a stream into the batch, and says whether the adapter had to be brought into a slot."""
        self._batch[name] += 1
        return self._to_slot(name)

    def left(self, name: str) -> None:
        """A stream has left the batch."""
        self._batch[name] -= 1
        if not self._batch[name]:
            del self._batch[name]

    def _in_batch(self, name: str) -> bool:
        return name in self._batch

    def _to_slot(self, name: str) -> bool:
        if name in self._slots:
            self._slots.move_to_end(name)
            return False
        if len(self._slots) >= self._size.slots:
            idle = next((resident for resident in self._slots if resident not in self._batch), None)
            if idle is None:
                return False
            del self._slots[idle]
        self._slots[name] = None
        return True

    def _entry(self, name: str) -> SlotEntry:
        if name not in self._entries:
            adapter, number, staged = _parts(name)
            self._entries[name] = SlotEntry(adapter=adapter, number=number, staged=staged)
        return self._entries[name]


@lru_cache(maxsize=100_000)
def _parts(name: str) -> tuple[str, int, StagedAdapter]:
    reference = parse_reference(name)
    if reference is None or reference.number is None or reference.digest is None:
        raise ValueError(f"{name} names no exact revision")
    return reference.name, reference.number, StagedAdapter(Path(), reference.digest, _SUMMARY)
