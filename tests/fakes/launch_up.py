"""Runs fake children under supervision, in a process of its own: `python -m tests.fakes.launch_up PLAN [--json]`.

The plan is a `.json` file, `{"processes": [{"name", "role", "argv", "ready_url", ...}]}`, or a patchbay.yaml, whose
processes are started as they would be but for the program, which is a fake child's.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from patchbay.launch.backoff import RestartConfig
from patchbay.launch.child import ProcessSpec
from patchbay.launch.config import Overrides, load_config
from patchbay.launch.events import ReadyReport
from patchbay.launch.output import Reporter
from patchbay.launch.plan import make_plan
from patchbay.launch.reporters import JsonReporter, PlainReporter
from patchbay.launch.run import exit_code_of
from patchbay.launch.rundir import run_directory
from patchbay.launch.supervisor import RunPlan, supervise


def _spec(data: dict[str, Any]) -> ProcessSpec:
    restart = RestartConfig.model_validate(data.pop("restart", {}))
    return ProcessSpec(argv=tuple(data.pop("argv")), restart=restart, **data)


def _faked(spec: ProcessSpec) -> ProcessSpec:
    port = str(urlsplit(spec.ready_url).port)
    file = spec.argv[spec.argv.index("--config") + 1]
    return replace(
        spec, argv=(sys.executable, "-m", "tests.fakes.launch_child", "--port", port, "--config", file), env={}
    )


@contextmanager
def _plan(path: Path) -> Iterator[RunPlan]:
    if path.suffix == ".json":
        specs = tuple(_spec(process) for process in json.loads(path.read_text())["processes"])
        yield RunPlan(specs, ReadyReport("http://127.0.0.1:1/v1", "http://127.0.0.1:2", "base"))
        return
    config = load_config(path, Overrides())
    with run_directory(config.data_dir / "run") as folder:
        plan = make_plan(config, folder)
        yield replace(plan, processes=tuple(_faked(spec) for spec in plan.processes))


def main(path: Path, *, as_json: bool) -> int:
    """Runs the plan to its end and returns the exit code."""
    plain = PlainReporter(sys.stderr if as_json else sys.stdout, ["replica-0", "router"])
    reporter: Reporter = JsonReporter(sys.stdout, plain) if as_json else plain

    def run() -> bool:
        with _plan(path) as plan:
            return asyncio.run(supervise(plan, reporter, lambda report: None))

    return exit_code_of(run, reporter)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), as_json="--json" in sys.argv))
