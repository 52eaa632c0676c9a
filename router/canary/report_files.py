"""The files of a canary's report, written aside first, and then moved into place all at once by a rename."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.evidence_course import course_of
from patchbay.router.canary.incident import markdown, summary, title
from patchbay.router.canary.plot import plot


def write_incident(folder: Path, record: CanaryRecord, looks: Sequence[Look]) -> Path:
    """Writes `summary.md`, `summary.json` and `evidence.svg` into a folder of their own in `folder`, and returns it.

    Raises OSError, and ConfigError where this version cannot read the canary's plan.
    """
    report, course = summary(record, looks), course_of(record, looks)
    subject = f"pool-{record.pool}" if record.pool is not None else f"{record.adapter}-{record.number}"
    target = folder / f"canary-{record.id}-{subject}"
    fresh = folder / f".{target.name}-{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    texts = {
        "summary.md": markdown(report, "evidence.svg", course),
        "summary.json": json.dumps(report, indent=2) + "\n",
        "evidence.svg": plot(title(record), course),
    }
    for name, text in texts.items():
        with (fresh / name).open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return target
