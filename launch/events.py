"""The events of a run, as values with a form for people (`sentence`) and one for programs (`as_json`)."""

import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


class Event:
    """The base of all events. `kind`: the name for programs."""

    __slots__ = ()
    kind: ClassVar[str]

    def sentence(self) -> str | None:
        """Describes the event in words, or returns None where there is nothing to say."""
        return None

    def fields(self) -> dict[str, Any]:
        """Returns the event's data for programs, without the kind."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # every event is a data class


def as_json(event: Event) -> dict[str, Any]:
    """Converts `event` to one flat JSON object, whose key `event` is the kind. Times are seconds."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in event.fields().items()}
    return {"event": event.kind} | rounded


@dataclass(frozen=True, slots=True)
class ReadyReport:
    """The addresses and models of a run, for clients.

    `url`: the base URL of the OpenAI API; `adapters`: those that are served; `not_served`: why each other adapter is
    not; `remarks`: what is to be known of one that is served; `needs_key`: whether clients need an API key; `after_s`:
    seconds from start to ready; `own_token`: whether the token in the user directory opens the admin port; `task`: what
    the base does; `pools`: what each further base does, by its name.
    """

    url: str
    admin_url: str
    base: str
    adapters: tuple[str, ...] = ()
    not_served: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    needs_key: bool = False
    after_s: float = 0.0
    own_token: bool = False
    task: str = "generate"
    pools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note(Event):
    """A message before the start."""

    kind: ClassVar[str] = "note"
    text: str

    def sentence(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Starting(Event):
    """A process has been started, for the `attempt`-th time."""

    kind: ClassVar[str] = "starting"
    process: str
    pid: int
    attempt: int

    def sentence(self) -> str:
        return f"{self.process} is starting (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """A process that is not ready yet has gone on to another phase, `after_s` seconds after its start."""

    kind: ClassVar[str] = "progress"
    process: str
    phase: str
    detail: str
    after_s: float

    @property
    def activity(self) -> str:
        """The process's own description of its work, else its phase."""
        return self.detail or self.phase

    def sentence(self) -> str:
        return f"{self.process}: {self.activity} ({self.after_s:.0f} s)"


@dataclass(frozen=True, slots=True)
class Ready(Event):
    """A process is ready for the first time, `after_s` seconds after its start."""

    kind: ClassVar[str] = "process_ready"
    process: str
    after_s: float

    def sentence(self) -> str:
        return f"{self.process} is ready after {self.after_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Serving(Event):
    """Every process has been ready: requests can come."""

    kind: ClassVar[str] = "ready"
    report: ReadyReport

    def fields(self) -> dict[str, Any]:
        return asdict(self.report)


@dataclass(frozen=True, slots=True)
class Restarting(Event):
    """A process died (`how`) and is started again in `delay_s` seconds. `left_behind`: processes it left, now ended."""

    kind: ClassVar[str] = "died"
    process: str
    how: str
    delay_s: float
    left_behind: int = 0

    def sentence(self) -> str:
        left = f" (and {self.left_behind} of its own processes ended)" if self.left_behind else ""
        return f"{self.process} {self.how}{left}; starting it again in {self.delay_s:g} s"


@dataclass(frozen=True, slots=True)
class Unhealthy(Event):
    """A process runs but does not work (`why`), and is killed, so that it can be started again."""

    kind: ClassVar[str] = "unhealthy"
    process: str
    why: str

    def sentence(self) -> str:
        return f"{self.process} {self.why}: killing it"


@dataclass(frozen=True, slots=True)
class Restarted(Event):
    """A process that had died is ready again, `after_s` seconds after its new start."""

    kind: ClassVar[str] = "restarted"
    process: str
    after_s: float

    def sentence(self) -> str:
        return f"{self.process} is back after {self.after_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Stopping(Event):
    """A process was asked to end, and will be killed after `deadline_s` seconds."""

    kind: ClassVar[str] = "stopping"
    process: str
    deadline_s: float

    def sentence(self) -> str:
        return f"stopping {self.process} (at most {self.deadline_s:g} s; Ctrl-C kills at once)"


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """A process has ended for good. `killed`: whether it had to be killed."""

    kind: ClassVar[str] = "stopped"
    process: str
    killed: bool = False

    def sentence(self) -> str:
        return f"{self.process} had to be killed" if self.killed else f"{self.process} has stopped"


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """Patchbay could not start. `error`: the reason, in a line."""

    kind: ClassVar[str] = "failed"
    error: str


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """Every process has ended. `exit_code`: what the command returns."""

    kind: ClassVar[str] = "ended"
    exit_code: int


def exit_text(code: int) -> str:
    """Describes the end of a process in words. `code`: as `subprocess` gives it, negative for a signal."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
