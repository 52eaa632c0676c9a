"""Child processes: forks of this warm one, in which pytest runs on changed or unchanged code."""

import gc
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from math import inf
from pathlib import Path
from types import CodeType
from typing import Any

from tools.house.modules import ROOT
from tools.mutants.swapped import swap
from tools.mutants.watching import Chosen, SeenTest, Watch

_ARGUMENTS = ("-q", "-x", "--no-header", "--no-summary", "--show-capture=no", "--tb=no", "-o", "timeout=0")
_SURVIVED, _KILLED = 0, 1
_OURS = ("patchbay", "tests")


class Fate(StrEnum):
    """The fate of a mutant. `unreached`: no test runs the line at all."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNREACHED = "unreached"


def warm_up(files: Iterable[str], above: frozenset[str]) -> None:
    """Imports what the tests in `files` import but for `above`, the modules that a mutant may change, and the tests."""
    imported = _answer_of(lambda: _imported_by(list(files)))
    for name in imported:
        first, _, rest = name.partition(".")
        if (first not in _OURS or (first == "patchbay" and rest not in above)) and name not in sys.modules:
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112  # made up by whoever put it into sys.modules
                continue
    gc.collect()
    gc.freeze()


def watched(files: Iterable[str], slowest_s: float, traced: Mapping[str, str]) -> dict[str, SeenTest]:
    """Runs all tests in `files` on unchanged code. See `Watch`."""

    def run() -> dict[str, Any]:
        watch = Watch(slowest_s, traced)
        _pytest([one for one in _ARGUMENTS if one != "-x"], files, [watch])
        return watch.told()

    return {name: SeenTest(**seen) for name, seen in _answer_of(run).items()}


def tried(module: str, code: CodeType, tests: Mapping[str, float], *, wall_s: float) -> Fate:
    """Runs `tests` with the code of `module` swapped, up to the first that fails. A test that takes more CPU time than
    `tests` says in seconds, or all of them together, has timed out, and so has what waits until `wall_s` have passed.
    """

    def run() -> int:
        _limit(sum(tests.values()), wall_s)
        swap(module, code)
        chosen = Chosen(tests)
        status = _pytest(_ARGUMENTS, {name.partition("::")[0]: None for name in tests}, [chosen])
        return _SURVIVED if status == 0 and not chosen.missing else _KILLED

    status = _wait(_fork(run))
    if os.WIFSIGNALED(status):
        limits = (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM)
        return Fate.TIMED_OUT if os.WTERMSIG(status) in limits else Fate.KILLED
    return Fate.SURVIVED if os.WEXITSTATUS(status) == _SURVIVED else Fate.KILLED


def _imported_by(files: list[str]) -> list[str]:
    _pytest(["--collect-only", "-q"], files, [])
    return [name for name, module in sys.modules.items() if getattr(module, "__spec__", None) and name != "__main__"]


def _pytest(arguments: Iterable[str], files: Iterable[str], plugins: list[object]) -> int:
    import pytest
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutants", database=None, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
    return int(pytest.main([*arguments, *files], plugins=[*plugins, _AnySpeed()]))


class _AnySpeed:
    """Has no turn of an event loop be too long: a mutant is judged by what it does."""

    def pytest_collection_finish(self) -> None:
        if turns := sys.modules.get("tests.fakes.turns"):
            turns.__dict__["LIMIT_S"] = inf


def _limit(cpu_s: float, wall_s: float) -> None:
    seconds = max(1, round(cpu_s))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, wall_s)


def _answer_of(run: Callable[[], Any]) -> Any:
    """Runs a function in a child, and returns what it returned there."""
    with tempfile.NamedTemporaryFile() as file:

        def tell() -> int:
            Path(file.name).write_text(json.dumps(run()), encoding="utf-8")
            return 0

        if status := _wait(_fork(tell)):
            raise ChildProcessError(f"The tests on unchanged code did not run: status {status}")
        return json.loads(Path(file.name).read_text(encoding="utf-8"))


def _fork(run: Callable[[], int]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        os.setsid()
        os.chdir(ROOT)
        with _silent():
            status = run()
    finally:
        os._exit(status)


@contextmanager
def _silent() -> Iterator[None]:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    yield


def _wait(child: int) -> int:
    """Waits for a child, and ends what it has left behind. Returns its status, as `os.waitpid` does."""
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return status
