"""The confined process: it limits itself, does one task, and writes one message on what was its standard output.

It imports no more than its task needs. Run it by `process.run` alone.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from patchbay.adapters.sandbox.network_guard import Guard
from patchbay.core.errors import AdapterError, PatchbayError

_PR_SET_PDEATHSIG = 1
_FILES = 1024
_GRACE_S = 5
_TRACE_CHARACTERS = 4000


def main() -> None:
    """Does the job that standard input describes."""
    job = json.load(sys.stdin)
    message_pipe = os.dup(1)
    # Whatever a library prints must not end up in the message.
    os.dup2(2, 1)
    _tie_to_parent(job["parent"])
    _limit(job["bounds"])
    guard = Guard.of_json(job["reach"])
    guard.install()
    message = _message_of(job, guard)
    with os.fdopen(message_pipe, "w", encoding="utf-8") as file:
        json.dump(message, file)
    # Threads of client libraries may hang; there is nothing left to wait for.
    sys.stderr.flush()
    os._exit(0)


def _message_of(job: Mapping[str, Any], guard: Guard) -> dict[str, Any]:
    """Runs the job's task, and returns the message that says how it ended."""
    try:
        return {"value": _work_of(job["task"])(job["work"])}
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # noqa: BLE001 - the outermost loop of this process: it all becomes a message
        if guard.refused:
            return {"refused": True}
        if isinstance(error.__cause__ or error.__context__, MemoryError):
            return {"memory": True}
        if isinstance(error, PatchbayError):
            reason = error.reason if isinstance(error, AdapterError) else None
            kind = type(error).__name__
            return {"error": {"kind": kind, "message": error.message, "hint": error.hint, "reason": reason}}
        return {"fault": {"what": _first_line(error), "trace": traceback.format_exc()[-_TRACE_CHARACTERS:]}}


def _work_of(task: str) -> Callable[[Mapping[str, Any]], Any]:
    if task == "fetch":
        from patchbay.adapters.sources.fetch import fetch_task

        return fetch_task
    if task == "inspect":
        from patchbay.adapters.checks.templates_trial import templates_tried
        from patchbay.adapters.checks.tokens_trial import tokens_tried
        from patchbay.adapters.checks.trials import Trials
        from patchbay.adapters.inspection import inspect_task

        return partial(inspect_task, trials=Trials(tokens=tokens_tried, templates=templates_tried))
    if task == "fold":
        from patchbay.adapters.fold.admission import admit_task

        return admit_task
    if task == "tokens":
        from patchbay.adapters.checks.tokens_trial import tokens_task

        return tokens_task
    if task == "templates":
        from patchbay.adapters.checks.templates_trial import templates_task

        return templates_task
    raise ValueError(f"there is no task '{task}'")


def _tie_to_parent(parent: int) -> None:
    """Has the kernel kill this process when the thread that started it ends, however that ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # Should memory run out, this process is what the kernel ends, and not the one that it works for.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if os.getppid() != parent:
        os._exit(1)


def _limit(bounds: Mapping[str, Any]) -> None:
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_NOFILE, _FILES)
    _set(resource.RLIMIT_FSIZE, bounds["file_bytes"])
    _set(resource.RLIMIT_DATA, bounds["memory_bytes"])
    _set(resource.RLIMIT_CPU, bounds["cpu_s"], bounds["cpu_s"] + _GRACE_S)


def _set(kind: int, soft: int, hard: int | None = None) -> None:
    _, current = resource.getrlimit(kind)
    limit = soft if hard is None else hard
    hard = limit if current == resource.RLIM_INFINITY else min(limit, current)
    resource.setrlimit(kind, (min(soft, hard), hard))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


if __name__ == "__main__":
    main()
