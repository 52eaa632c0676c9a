import json
import logging

from patchbay.router.http.body import parse_head
from patchbay.router.http.trace_context import TraceSpan
from patchbay.router.telemetry.access_log import AccessLog
from patchbay.router.telemetry.logs import JsonFormatter
from patchbay.router.telemetry.request_record import RequestRecord


def test_a_traceback_stays_within_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        told = (type(error), error, error.__traceback__)
    record = logging.LogRecord("patchbay.router", logging.ERROR, __file__, 1, "it %s", ("failed\nbadly",), told)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["message"]) == ("ERROR", "it failed\nbadly")
    assert read["exception"].endswith("ValueError: two\nlines")
    assert read["time"].endswith("+00:00")


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(JsonFormatter().format(record)))


def test_a_prompts_hash_needs_the_key_and_does_not_hang_on_anything_but_the_prompt() -> None:
    log, kept = logging.getLogger("patchbay.access"), _Kept()
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    one = RequestRecord(
        id=b"r",
        span=TraceSpan(trace=b"0" * 32, id=b"1" * 16),
        endpoint="chat_completions",
        outcome="ok",
        status=200,
        seconds=0.1,
    )
    bodies = (b'{"model":"a","messages":[1]}', b'{"model":"b","messages":[1],"n":2}', b'{"model":"a","system":[1]}')
    try:
        for key in (b"key", b"x" * 100):
            for body in bodies:
                AccessLog(key).tell(one, parse_head(body).beginning)
    finally:
        log.removeHandler(kept)
        log.setLevel(logging.NOTSET)
    hashes = [line["prompt_hash"] for line in kept.lines]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(set(hashes)) == 4
