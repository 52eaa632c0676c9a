"""The tables of what the ready plans do, and the page that they stand in."""

from pathlib import Path

import pytest

from patchbay.router.canary.simulate import Outcome
from tools.canary_tables import BEGIN, END, Cell, cells, main, table, with_table

NONE = (0.0, 0.0)
PAGE = Path(__file__).parents[3] / "docs/canary.md"


def outcome(rolled_back: float, promoted: float) -> Outcome:
    return Outcome(
        runs=20,
        rolled_back=rolled_back,
        promoted=promoted,
        undecided=1 - rolled_back - promoted,
        took_s=NONE,
        requests=NONE,
        bad=NONE,
    )


def test_a_line_tells_other_shares_than_its_canaries() -> None:
    known = [
        (Cell("fast", 0.01, 1, 300, 20), outcome(0.0, 1.0)),
        (Cell("fast", 0.01, 3, 300, 20), outcome(0.9, 0.05)),
        (Cell("fast", 0.01, 10, 300, 20), outcome(1.0, 0.0)),
    ]
    assert table(known).splitlines()[2] == "| fast | 1.0% | 300 | 20 | 0% | 100% | 5% | 90% | 0% | 100% |"


def test_the_page_has_no_place_for_the_tables_or_an_old_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, "new").count("new") == page.count("new") - _table_of(page).count("new") + 1
    rows = [line.split("|")[1:4] for line in _table_of(page).splitlines()[2:]]
    told = {tuple(cell.strip() for cell in row) for row in rows}
    wanted = {(one.plan, f"{one.rate:.1%}", f"{one.callers:,}") for one in cells(3)}
    assert told
    assert told <= wanted
    assert _table_of(page).startswith(table([]))
    assert with_table(page, _table_of(page)) == page


def _table_of(page: str) -> str:
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def test_a_plan_has_fewer_canaries_a_cell_than_was_asked_for() -> None:
    assert {one.runs for one in cells(3)} == {3}


def test_a_page_without_marks_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(ValueError, match="no marks"):
        main([str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text() == "nothing"


def test_a_cell_is_another_each_time() -> None:
    cell = Cell("fast", 0.01, 10, 20, 2)
    assert cell.outcome() == cell.outcome()
    assert cell.outcome().promoted == 0.0
