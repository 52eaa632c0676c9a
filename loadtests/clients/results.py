"""The results of clients: what their checks told in JSON lines, and what that comes to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["passed", "failed", "not run"]
_TAIL = 300


@dataclass(frozen=True, slots=True)
class Check:
    """A check that was run. `said`: what came of it; `seconds`: how long it took."""

    name: str
    ok: bool
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one client. `versions`: of its packages; `trouble`: why it could not begin or did not end in order;
    `began`: whether it was started at all."""

    client: str
    versions: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    trouble: str | None = None
    began: bool = True

    @property
    def verdict(self) -> Verdict:
        """The verdict: a client without a single check has not passed."""
        if not self.began:
            return "not run"
        return "passed" if self.checks and not self.trouble and not self.failures else "failed"

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.ok)


def not_run(client: str, reason: str) -> Result:
    """Makes the result of a client that could not be started."""
    return Result(client, trouble=reason, began=False)


def read(client: str, output: str, errors: str, status: int | None) -> Result:
    """The result of a client's process. `status`: its exit status; None where it took too long. Lines of its output
    that are no check of ours are the client's own, and passed over."""
    told = [line for line in map(_parsed, output.splitlines()) if line]
    versions: dict[str, str] = next((line["versions"] for line in told if "versions" in line), {})
    checks = tuple(_check(line) for line in told if "check" in line)
    trouble = _trouble(checks, errors, status)
    return Result(client, versions, checks, trouble)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _check(line: dict[str, Any]) -> Check:
    return Check(str(line["check"]), line.get("ok") is True, str(line.get("said", "")), float(line.get("seconds", 0)))


def _trouble(checks: tuple[Check, ...], errors: str, status: int | None) -> str | None:
    if status is None:
        return f"took too long, after {len(checks)} checks"
    if status == 0 and checks:
        return None
    if status == 1 and any(not check.ok for check in checks):
        return None
    return f"ended with {status} after {len(checks)} checks: {' '.join(errors.split())[-_TAIL:]}"
