"""A request's state stays readable: of each field it is known who writes it."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbay.router import forward, request
from patchbay.router.forward.result import Result
from patchbay.router.telemetry.request_record import Outcome

FOLDERS = [Path(package.__path__[0]) for package in (forward, request)]
# The methods of these write their own fields.
OWN = {"exchange.py": "", "result.py": "result."}


def written(file: Path) -> Iterator[str]:
    """Lists the fields of an exchange that a module assigns, as `result.used`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        path = ast.unparse(node)
        if file.name in OWN and path.startswith("self."):
            yield path.replace("self.", OWN[file.name])
        elif "exchange." in path and "exchange.relay." not in path:
            yield path.partition("exchange.")[2]


def test_each_field_of_an_exchange_is_written_by_one_module() -> None:
    writers: defaultdict[str, set[str]] = defaultdict(set)
    for file in (file for folder in FOLDERS for file in folder.glob("*.py")):
        for field in written(file):
            writers[field].add(file.name)
    assert {field: names for field, names in writers.items() if len(names) > 1} == {}
    assert {"asked", "answerer", "extra", "tries.turn", "result.outcome", "result.used"} <= writers.keys()


@pytest.mark.parametrize(
    ("status", "broken", "outcome"), [(404, False, "client_error"), (502, False, "server_error"), (502, True, "broken")]
)
def test_an_error_is_the_client_s_or_ours_or_a_broken_answer(status: int, broken: bool, outcome: Outcome) -> None:
    result = Result()
    result.begins(1.0, 200, cold=True)
    assert (result.outcome, result.began_s, result.cold) == ("ok", 1.0, True)
    result.fails(status, broken=broken)
    assert result.outcome == outcome


def test_an_answer_s_own_status_is_its_outcome_and_who_left_cancelled_it() -> None:
    result = Result()
    result.begins(1.0, 500, cold=False)
    assert result.outcome == "server_error"
    result.is_left()
    assert {result.outcome} == {"cancelled"}
