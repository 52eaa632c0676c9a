"""Plugins of pytest: one notes what each test costs and which lines it runs, the other runs chosen tests only."""

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from types import CodeType, FrameType
from typing import Any

import pytest

# After so many calls of a function a test's further ones are not traced: that takes ten times as long as the call.
_CALLS = 5000


# What stands for the imports of all tests among what was seen.
IMPORTED = ""


class TooSlow(BaseException):
    """A test has used up the CPU time that one may take here."""


@dataclass
class SeenTest:
    """A test as it was seen on unchanged code. `cpu_s`: the CPU time that it took; `passed`: it did, in all its phases;
    `lines`: the lines that it ran, by file."""

    cpu_s: float = 0.0
    passed: bool = True
    lines: dict[str, list[int]] = field(default_factory=dict)

    def touches(self, file: str, lines: Iterable[int]) -> bool:
        """Says whether the test ran one of `lines`."""
        return not set(self.lines.get(file, ())).isdisjoint(lines)


class Watch:
    """Notes the CPU time of each test, whether it passed, and the lines that it runs of `files`, by the file name that
    code has. A test of more than `slowest_s` of CPU time is broken off."""

    def __init__(self, slowest_s: float, files: Mapping[str, str]) -> None:
        self.seen: dict[str, SeenTest] = {}
        self._slowest_s, self._files = slowest_s, files
        self._ran: dict[str, set[int]] = {}
        self._calls: Counter[CodeType] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Collects tests (pytest's hook), and notes what their modules run when they are imported, under `IMPORTED`."""
        self._begin()
        try:
            return (yield)
        finally:
            self._trace(None)
            self.seen[IMPORTED] = SeenTest(passed=False, lines=self._lines())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Runs a test (pytest's hook) under watch."""
        seen = self.seen.setdefault(item.nodeid, SeenTest())
        began = time.process_time()
        signal.signal(signal.SIGPROF, _break_off)
        signal.setitimer(signal.ITIMER_PROF, self._slowest_s)
        self._begin()
        try:
            return (yield)
        except TooSlow:
            seen.passed = False
            return True
        finally:
            self._trace(None)
            signal.setitimer(signal.ITIMER_PROF, 0)
            seen.cpu_s = time.process_time() - began
            seen.lines = self._lines()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes what came of a phase of a test (pytest's hook)."""
        if not report.passed:
            self.seen[report.nodeid].passed = False

    def told(self) -> dict[str, Any]:
        """Returns what was seen, as JSON can say it."""
        return {name: asdict(seen) for name, seen in self.seen.items()}

    def _begin(self) -> None:
        self._ran, self._calls = {file: set() for file in self._files.values()}, Counter()
        self._trace(self._enter)

    def _lines(self) -> dict[str, list[int]]:
        return {file: sorted(lines) for file, lines in self._ran.items() if lines}

    def _trace(self, enter: Callable[..., Any] | None) -> None:
        sys.settrace(enter)
        threading.settrace(enter)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        file = self._files.get(frame.f_code.co_filename)
        if file is None:
            return None
        ran, code = self._ran[file], frame.f_code
        self._calls[code] += 1
        known = self._calls[code] > _CALLS or (self._calls[code] > 1 and _lines_of(code) <= ran)
        return None if known else self._line_of(ran)

    def _line_of(self, ran: set[int]) -> Callable[..., Any]:
        def line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            ran.add(frame.f_lineno)
            return line

        return line


class Chosen:
    """Runs the tests of `wanted` only, in that order. The process ends by SIGPROF where a test takes more than its CPU
    time there. `missing`: the number of those that there are not any more."""

    def __init__(self, wanted: Mapping[str, float]) -> None:
        self._limits_s = wanted
        self._order = {name: at for at, name in enumerate(wanted)}
        self.missing = len(self._order)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Runs a test (pytest's hook) within its time."""
        signal.setitimer(signal.ITIMER_PROF, self._limits_s[item.nodeid])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Takes the tests from all that were found (pytest's hook)."""
        items[:] = sorted((one for one in items if one.nodeid in self._order), key=lambda one: self._order[one.nodeid])
        self.missing -= len(items)


@cache
def _lines_of(code: CodeType) -> frozenset[int]:
    """The lines of a function, but for that of its `def`, and for functions in it."""
    return frozenset(line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno)


def _break_off(number: int, frame: FrameType | None) -> None:
    raise TooSlow
