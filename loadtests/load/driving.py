"""The driver of the process that sends: it runs a job there from outside of it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.load.records import Job, Record
from loadtests.loopback import check_loopback
from patchbay.core.errors import PatchbayError

_ROOT = Path(__file__).parent.parent.parent
# Starting and ending beside the requests themselves.
_SPARE_S = 60.0


@dataclass(frozen=True, slots=True)
class Driven:
    """The records of a job that was sent, and the counts of Locust itself."""

    records: tuple[Record, ...]
    locust_requests: int
    locust_failures: int


def drive(job: Job, progress: Callable[[int, int], None]) -> Driven:
    """Sends all of `job`. `progress`: how many are sent and how many have ended, twice a second.

    Raises ConfigError where it would go to another machine, PatchbayError where the sending process fails.
    """
    check_loopback(job.url)
    with tempfile.TemporaryDirectory(prefix="patchbay-load-") as made:
        job_file, records_file, log = (Path(made) / name for name in ("job.json", "records.jsonl", "log"))
        job_file.write_text(json.dumps(asdict(job)), encoding="utf-8")
        command = [sys.executable, "-m", "loadtests.load.worker", str(job_file), str(records_file)]
        last = _followed(command, log, progress)
        records = [Record(**json.loads(line)) for line in records_file.read_text(encoding="utf-8").splitlines()]
    records.sort(key=lambda record: record.number)
    return Driven(tuple(records), last["requests"], last["failures"])


def _followed(command: list[str], log: Path, progress: Callable[[int, int], None]) -> dict[str, int]:
    """The last that the process says."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    last: dict[str, int] = {}
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "PYTHONPATH": path}) as run,
    ):
        try:
            for line in run.stdout or ():
                last = json.loads(line)
                progress(last["sent"], last["done"])
            run.wait(_SPARE_S)
        finally:
            run.kill()
    if run.returncode or "requests" not in last:
        reason = log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
        raise PatchbayError(f"The process that sends has failed: {reason}")
    return last
