"""The log's queue: whoever logs never waits for whoever reads."""

import threading

from patchbay.core.log_queue import LogQueue


def test_a_reader_that_stands_still_costs_lines_and_nobody_waits() -> None:
    gate, written, counted = threading.Event(), list[str](), list[int]()

    def write(line: str) -> None:
        gate.wait()
        written.append(line)

    lines = LogQueue(write, most=5)
    lines.on_drop = lambda: counted.append(1)
    for number in range(20):
        lines.put(f"line {number}")
    assert not lines.flush(0.01)
    # One may be on its way out already, and leave room for another.
    assert lines.dropped in (14, 15)
    assert len(counted) == lines.dropped
    gate.set()
    assert lines.flush(10)
    lines.put("after")
    assert lines.flush(10)
    assert written[0] == "line 0"
    assert written[-2:] == [f"{lines.dropped} lines of this log were dropped: nobody read it", "after"]


def test_a_closed_reader_breaks_nothing() -> None:
    def write(line: str) -> None:
        raise BrokenPipeError

    lines = LogQueue(write)
    lines.put("one")
    lines.put("two")
    assert lines.flush(10)
    assert lines.dropped == 0
