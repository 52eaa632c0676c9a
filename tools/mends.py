"""The command behind `make mends`: undoes mends, one at a time, and sees that the test of each then fails.

A mend is told in `tests/mends/*.yaml`: the fault, the text that mended it with what stood there before, or what would
bring the fault back, and its tests. The code is changed on disk, since many tests start processes, and is put back.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table

from patchbay.core.yaml_text import parse_yaml
from tools.house.modules import ROOT

FOLDER = ROOT / "tests" / "mends"
# A test that waits for what the undone mend keeps from coming ends by its own limit, or by this one.
_LIMIT_S = 600
_FAILED = 1


class UndoError(Exception):
    """A mend cannot be undone: its text is not in the code, or the code has changes of its own."""


class Edit(BaseModel):
    """A place of a mend. `file`: from the repository's root; `find`: its text, which stands there once; `put`: what
    stands there without it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    find: str = Field(min_length=1)
    put: str = ""


class Mend(BaseModel):
    """A mend. `line`: which line of which issue, such as `17 A1`; `fault`: the fault in words; `edits`: its places;
    `tests`: the tests, as pytest names them, of which one at least fails without it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    line: str
    fault: str
    edits: tuple[Edit, ...] = Field(min_length=1)
    tests: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """A mend that was undone. `outcome`: `failed` as it should, `passed`, `stale` or `broken`; `why`: the failure's
    first line."""

    line: str
    fault: str
    test: str
    outcome: str
    why: str


def read_mends(files: Iterable[Path]) -> list[Mend]:
    """Reads the mends of YAML files, in their order. Raises ValueError for one that is not whole."""
    return [Mend.model_validate(one) for file in files for one in parse_yaml(file.read_text("utf-8"))]


@contextlib.contextmanager
def undone(mend: Mend, root: Path) -> Iterator[None]:
    """Undoes a mend in the files below `root` while the block lasts. Raises UndoError."""
    before = {root / edit.file: (root / edit.file).read_text("utf-8") for edit in mend.edits}
    after = dict(before)
    for edit in mend.edits:
        file = root / edit.file
        if (count := after[file].count(edit.find)) != 1:
            raise UndoError(f"{edit.file} has the text {count} times: {edit.find.strip().splitlines()[0]}")
        after[file] = after[file].replace(edit.find, edit.put)
    try:
        for file, text in after.items():
            file.write_text(text, "utf-8")
        yield
    finally:
        for file, text in before.items():
            file.write_text(text, "utf-8")


def try_mend(mend: Mend, root: Path) -> Seen:
    """Undoes a mend and runs its tests. The outcome is `failed` only where a test ran and failed."""
    try:
        with undone(mend, root):
            status, why = _run(mend.tests, root)
    except (UndoError, OSError) as error:
        return _seen(mend, "stale", str(error))
    if status == 0:
        return _seen(mend, "passed", "")
    return _seen(mend, "failed" if status == _FAILED and why else "broken", why or f"pytest ended with {status}")


def _seen(mend: Mend, outcome: str, why: str) -> Seen:
    return Seen(mend.line, mend.fault, " ".join(mend.tests), outcome, why)


def _run(tests: Iterable[str], root: Path) -> tuple[int, str]:
    """Returns pytest's status, and the first failure in its words; an error in collecting is none."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", f"--timeout={_LIMIT_S}", *tests]
    # Compiled once, and not beside the code, which changes. pytest cuts a failure's words to the terminal's width.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(root / "build" / "mends"), "COLUMNS": "400"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"^(?:FAILED|ERROR) \S+::\S.*?(?: - (.*))?$", done.stdout, re.MULTILINE)
    return done.returncode, (found[1] or found[0]) if found else ""


def try_mends(
    names: Annotated[
        list[str] | None, typer.Argument(help="Files of tests/mends, without .yaml. All by default.")
    ] = None,
    *,
    line: Annotated[str, typer.Option(help="Only the lines that begin so, such as '17 A'.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
) -> None:
    """Undoes each mend in the working tree, sees that its test fails, and puts the mend back. The tests are run once
    with all mends first. Exit codes: 0, or 1 where a test passed, or could not be tried.

    Example: python -m tools.mends 17 --line "17 A"
    """
    files = [FOLDER / f"{name}.yaml" for name in names] if names else sorted(FOLDER.glob("*.yaml"))
    mends = [mend for mend in read_mends(files) if mend.line.startswith(line)]
    progress = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    _refuse_changes(mends)
    status, why = _run(dict.fromkeys(test for mend in mends for test in mend.tests), ROOT)
    if status:
        progress.print(f"The tests do not pass with all mends in place: {why}")
        raise typer.Exit(1)
    found = []
    for at, mend in enumerate(mends, 1):
        found.append(try_mend(mend, ROOT))
        progress.print(f"{at} of {len(mends)}: {found[-1].outcome}: {mend.line}: {mend.fault}")
    _print(found, as_json=as_json)
    raise typer.Exit(int(any(one.outcome != "failed" for one in found)))


def _refuse_changes(mends: Iterable[Mend]) -> None:
    """Ends the command where a file that would be changed has changes of its own, which a crash might lose."""
    places = sorted({edit.file for mend in mends for edit in mend.edits})
    done = subprocess.run(["git", "status", "--porcelain", "--", *places], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
    if done.stdout:
        typer.echo(f"Commit these files first, since mends are undone in them:\n{done.stdout.decode()}", err=True)
        raise typer.Exit(1)


def _print(found: list[Seen], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    failed = sum(one.outcome == "failed" for one in found)
    table = Table(
        "line", "fault", "without its mend", title=f"{failed} of {len(found)} tests failed without their mend"
    )
    for one in found:
        table.add_row(one.line, one.fault, f"{one.outcome}: {one.why}"[:300])
    Console(highlight=False, width=160, markup=False).print(table)


def main() -> None:
    """Runs the command."""
    typer.run(try_mends)


if __name__ == "__main__":
    main()
