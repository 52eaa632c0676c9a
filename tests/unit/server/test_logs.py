"""The log fold: a traceback becomes the line that says what went wrong."""

from patchbay.server.logs import TracebackFold

CHAIN = """(Worker pid=7) ERROR 11-23 23:28:37 [worker.py:953] WorkerProc failed to start.
(Worker pid=7) ERROR 11-23 23:28:37 [worker.py:953] Traceback (most recent call last):
(Worker pid=7) ERROR 11-23 23:28:37 [worker.py:953]   File "a.py", line 1, in f
(Worker pid=7) ERROR 11-23 23:28:37 [worker.py:953]     raise KeyError
(Worker pid=7) ERROR 11-23 23:28:37 [worker.py:953] safetensors.SafetensorError: header too large
Traceback (most recent call last):
  File "b.py", line 2, in g
RuntimeError: Engine core initialization failed.""".splitlines()


def shown(fold: TracebackFold, lines: list[str]) -> list[str]:
    return [line for line in map(fold.feed, lines) if line is not None]


def test_nothing_of_a_failed_start_is_shown_but_its_root_cause_is_kept() -> None:
    fold = TracebackFold()
    assert shown(fold, CHAIN[:5]) == []
    assert fold.root_cause == "SafetensorError: header too large"


def test_once_serving_a_traceback_is_one_line_with_its_process() -> None:
    fold = TracebackFold()
    fold.show_errors = True
    lines = shown(fold, CHAIN)
    assert (
        lines[1] == "(Worker pid=7) ERROR 11-23 23:28:37 [worker.py:953] safetensors.SafetensorError: header too large"
    )
    assert lines[2] == "RuntimeError: Engine core initialization failed."
    assert len(lines) == 3


def test_the_cause_is_kept_and_not_what_was_raised_from_it() -> None:
    fold = TracebackFold()
    shown(
        fold,
        ["Traceback (most recent call last):", "ValueError: first", "", "The above exception was the direct cause"],
    )
    shown(fold, ["Traceback (most recent call last):", "RuntimeError: second"])
    assert fold.root_cause == "ValueError: first"


def test_ordinary_lines_pass_and_noise_does_not() -> None:
    fold = TracebackFold()
    lines = ["hello", "", "[W] Warning: NUMA binding: Using MEMBIND policy", "  indented"]
    assert shown(fold, lines) == ["hello", "  indented"]
