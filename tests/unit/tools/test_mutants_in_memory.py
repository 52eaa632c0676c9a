"""Changed code is what an import finds, and the lines that a test runs are noted, without a file being written."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.mutants.figures import figures_of
from tools.mutants.finding import mutants_of
from tools.mutants.swapped import SwappedFinder, swap
from tools.mutants.watching import Chosen, SeenTest, Watch

TEXT = "def answer():\n    return 41 + 1\n"


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Path]:
    """A module that can be imported, and is forgotten after the test with whatever was put in its place."""
    finders = list(sys.meta_path)
    file = tmp_path / "a_module_of_a_test.py"
    file.write_text(TEXT, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    yield file
    sys.path.remove(str(tmp_path))
    sys.meta_path[:] = finders
    sys.modules.pop(file.stem, None)


def test_an_import_finds_the_changed_code_and_the_file_stays_as_it_is(module: Path) -> None:
    [mutant] = [one for one in mutants_of(TEXT, module.stem, module.name) if "41 - 1" in one.after]
    swap(module.stem, mutant.compiled(str(module)))
    found = importlib.import_module(module.stem)
    assert found.answer() == 40
    assert found.__file__ == str(module)
    assert module.read_text(encoding="utf-8") == TEXT


def test_other_modules_are_found_as_ever(module: Path) -> None:
    finder = SwappedFinder("another_module", compile("x = 1", "x", "exec"))
    assert finder.find_spec(module.stem, None) is None
    assert importlib.import_module(module.stem).answer() == 42


class NamedItem:
    """As much of a test as the plugins look at."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


def test_chosen_tests_run_in_the_order_that_was_asked_for_and_missing_ones_are_counted() -> None:
    chosen = Chosen({"c": 1.0, "a": 1.0, "gone": 1.0})
    items = [NamedItem(name) for name in "abc"]
    chosen.pytest_collection_modifyitems(items)  # type: ignore[arg-type]
    assert [one.nodeid for one in items] == ["c", "a"]
    assert chosen.missing == 1


def test_a_watch_notes_the_lines_that_a_test_runs_of_the_files_that_are_watched(module: Path) -> None:
    found = importlib.import_module(module.stem)
    watch = Watch(60.0, {str(module): "one.py"})
    protocol = watch.pytest_runtest_protocol(NamedItem("a"))  # type: ignore[arg-type]
    next(protocol)
    tracer = sys.gettrace()
    try:
        found.answer()
    finally:
        with pytest.raises(StopIteration):
            protocol.send(True)
    assert tracer is not None
    assert watch.seen["a"].lines == {"one.py": [2]}
    assert watch.seen["a"].passed
    assert watch.told()["a"]["lines"] == {"one.py": [2]}


def test_a_test_reaches_a_mutant_by_any_of_its_lines() -> None:
    seen = SeenTest(lines={"one.py": [2, 3]})
    assert seen.touches("one.py", range(3, 9))
    assert not seen.touches("one.py", range(4, 9))
    assert not seen.touches("two.py", range(3, 9))


def test_without_a_mutant_a_share_is_nothing_and_its_interval_all() -> None:
    empty = figures_of("router/a", [], possible=0, left_out=0)
    assert (empty.tried, empty.share, empty.interval) == (0, 0.0, (0.0, 1.0))
