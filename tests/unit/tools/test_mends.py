"""The command that undoes mends: what it changes, puts back, and takes for a failure; and the mends that are told."""

from pathlib import Path

import pytest

from tools.house.modules import ROOT
from tools.mends import FOLDER, Edit, Mend, UndoError, read_mends, try_mend, undone

CODE = "def half(number: int) -> int:\n    return number // 2\n"
TEST = "from code_of_mine import half\n\n\ndef test_half() -> None:\n    assert half(4) == 2\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "code_of_mine.py").write_text(CODE, "utf-8")
    (tmp_path / "test_mine.py").write_text(TEST, "utf-8")
    return tmp_path


def mend(find: str, put: str) -> Mend:
    edit = Edit(file="code_of_mine.py", find=find, put=put)
    return Mend(line="1 A", fault="half is whole", edits=(edit,), tests=("test_mine.py::test_half",))


@pytest.mark.parametrize(
    ("find", "put", "outcome", "why"),
    [
        ("// 2", "// 1", "failed", "assert 4 == 2"),
        ("// 2", "// 2 ", "passed", ""),
        ("// 3", "// 1", "stale", "code_of_mine.py has the text 0 times: // 3"),
        ("number", "n", "stale", "code_of_mine.py has the text 2 times: number"),
        ("def half", "def whole", "broken", "pytest ended with 4"),
    ],
)
def test_a_mend_is_seen_where_a_test_ran_and_failed(project: Path, find: str, put: str, outcome: str, why: str) -> None:
    seen = try_mend(mend(find, put), project)
    assert (seen.outcome, why in seen.why) == (outcome, True), seen.why
    assert (project / "code_of_mine.py").read_text("utf-8") == CODE


def interrupted(mend: Mend, project: Path) -> None:
    with undone(mend, project):
        assert "// 1" in (project / "code_of_mine.py").read_text("utf-8")
        raise KeyboardInterrupt


def test_the_code_is_put_back_whatever_comes(project: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(mend("// 2", "// 1"), project)
    assert (project / "code_of_mine.py").read_text("utf-8") == CODE


def test_all_mends_that_are_told_stand_in_the_code() -> None:
    """Where this fails, the code was changed: tell the mend's new text, or drop a mend whose fault cannot come back."""
    told = read_mends(sorted(FOLDER.glob("*.yaml")))
    assert told
    for one in told:
        for edit in one.edits:
            text = (ROOT / edit.file).read_text("utf-8")
            if (count := text.count(edit.find)) != 1:
                raise UndoError(f"{one.line}: {edit.file} has this {count} times: {edit.find}")
        for test in one.tests:
            file, *names = test.partition("[")[0].split("::")
            assert all(f" {name}" in (ROOT / file).read_text("utf-8") for name in names), (one.line, test)
