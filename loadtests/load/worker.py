"""The process that sends, on Locust's library: `python -m loadtests.load.worker JOB RECORDS`.

In a process of its own because importing Locust makes sockets, threads and sleeping gevent's, everywhere in it. Locust
has one user here, which starts each request in a thread of its own (a greenlet, that is) when it is due: users of
Locust's own, each of which waits for its answer before it asks again, would be a closed loop.

Writes a line of JSON for each request to RECORDS, and on standard output how far it is.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtests.load.arrivals import keep_to
from loadtests.load.records import UNFINISHED, Job, Planned, Record, job_of
from loadtests.load.sending import Sender

_TELL_S = 0.5


class Failure(Exception):
    """The reason why a request failed, for Locust's own statistics."""


class Sending:
    """Runs a job: `run` sends all of it, and reports each answer to Locust's events."""

    def __init__(self, job: Job, environment: Environment) -> None:
        self._job = job
        # Locust does not say the types of its events.
        self._events: Any = environment.events
        # Not before `run`, so that Locust's own start is in nobody's time.
        self._began = 0.0
        self._sender = Sender(job, 0.0)
        self._under_way: dict[int, float] = {}
        self.sent = 0
        self.done = 0

    def run(self) -> None:
        """Sends everything when it is due, and waits for the answers, no longer than the job says."""
        self._began = time.monotonic()
        self._sender = Sender(self._job, self._began)
        keep_to(self._job.requests, self._began, self._start)
        end = time.monotonic() + self._job.drain_s
        while self._under_way and time.monotonic() < end:
            time.sleep(0.02)
        now_s = time.monotonic() - self._began
        unfinished = dict(self._under_way)
        self._under_way.clear()
        for planned in self._job.requests:
            if planned.number in unfinished:
                sent_s = unfinished[planned.number]
                self._tell(planned, Record(planned.number, sent_s, None, now_s, 0, "failed", 0, UNFINISHED))

    def _start(self, planned: Planned) -> None:
        self._under_way[planned.number] = time.monotonic() - self._began
        self.sent += 1
        threading.Thread(target=self._one, args=(planned,), daemon=True).start()

    def _one(self, planned: Planned) -> None:
        record = self._sender.send(planned)
        # What has been given up is told of already.
        if self._under_way.pop(planned.number, None) is not None:
            self._tell(planned, record)

    def _tell(self, planned: Planned, record: Record) -> None:
        self.done += 1
        self._events.request.fire(
            request_type="stream" if planned.body.get("stream") else "call",
            name=planned.model,
            response_time=1000 * (record.end_s - planned.due_s),
            response_length=record.tokens,
            exception=None if record.outcome in ("answered", "cancelled") else Failure(record.kind),
            context={},
            record=record,
        )


def run(job: Job, keep: Callable[[Record], None], report: Callable[[dict[str, Any]], None]) -> None:
    """Runs `job` under Locust. `keep`: gets each record; `report`: is told twice a second how far it is, and at the end
    what Locust counted itself."""
    finished = threading.Event()
    environment = Environment(catch_exceptions=False)
    sending = Sending(job, environment)

    def walk(_: User) -> None:
        try:
            sending.run()
        finally:
            finished.set()
        raise StopUser

    class Callers(User):
        """The user that Locust runs: all callers there are; the schedule says when each asks."""

        tasks = [walk]  # noqa: RUF012 - Locust's own way to say it

    environment.user_classes = [Callers]
    events: Any = environment.events
    events.request.add_listener(lambda record, **_: keep(record))
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    while not finished.wait(_TELL_S):
        report({"sent": sending.sent, "done": sending.done})
    runner.quit()
    total = environment.stats.total
    report({"sent": sending.sent, "done": sending.done, "requests": total.num_requests, "failures": total.num_failures})


def main(job_file: str, records_file: str) -> None:
    """Runs the job in `job_file`."""
    job = job_of(json.loads(Path(job_file).read_text(encoding="utf-8")))
    with Path(records_file).open("w", encoding="utf-8") as records:
        run(job, lambda record: _line(records, asdict(record)), lambda progress: _line(sys.stdout, progress))


def _line(file: Any, document: dict[str, Any]) -> None:
    file.write(json.dumps(document) + "\n")
    file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
