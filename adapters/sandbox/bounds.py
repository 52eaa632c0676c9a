"""The limits of one confined process, and the least speed at which it must get on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from patchbay.core.errors import WorkStopped


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a confined process.

    `cpu_s`: seconds of processor time; `memory_bytes`: of its own memory; `file_bytes`: the largest file that it
    writes; `timeout_s`: in all.
    """

    cpu_s: int
    memory_bytes: int
    file_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class LeastSpeed:
    """The least speed of a transfer: `bytes_per_s`, on the mean of each window of `over_s` seconds."""

    bytes_per_s: float
    over_s: float


class Pace:
    """Watches whether a transfer keeps the least speed. `now`: the time at its begin, seconds, monotonic."""

    def __init__(self, least: LeastSpeed, now: float) -> None:
        self._least = least
        self._window_start = now
        self._bytes_before = 0

    def is_too_slow(self, total: int, now: float) -> bool:
        """Whether a whole window has passed in which too little came. `total`: the bytes that have come so far."""
        if now - self._window_start < self._least.over_s:
            return False
        received = total - self._bytes_before
        slow = received < self._least.bytes_per_s * (now - self._window_start)
        self._window_start, self._bytes_before = now, total
        return slow


class Stop:
    """A request that work in another thread ends soon. Thread-safe, since all it does is to set one attribute."""

    def __init__(self) -> None:
        self.why: str | None = None

    def ask(self, why: str) -> None:
        """Asks for the end. `why`: a sentence for whoever waits for the work."""
        self.why = self.why or why

    def check(self) -> None:
        """Raises WorkStopped where the end was asked for."""
        if self.why is not None:
            raise WorkStopped(self.why)


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a confined process.

    `name`: one of those that `child` knows; `work`: its input, in JSON's types; `environment`: all that it has of one;
    `reach`: whom it may connect to, as `FetchReach.to_json` wrote it, nobody where None; `grows`: the folder that its
    transfer fills, which must keep to `least`.
    """

    name: str
    work: Mapping[str, object]
    environment: Mapping[str, str] = field(default_factory=dict)
    reach: Mapping[str, object] | None = None
    grows: Path | None = None
    least: LeastSpeed | None = None


Clock = Callable[[], float]
