"""The mutation tool: what it changes, what it leaves alone, which tests it runs, and that no file is touched."""

import ast
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from tools.mutants.children import Fate
from tools.mutants.figures import figures_of, wilson
from tools.mutants.finding import mutants_of
from tools.mutants.mutant import Mutant, shown
from tools.mutants.operators import replacements
from tools.mutants.room import read_room


def found(text: str) -> list[str]:
    """The mutants of a text, each as its statement reads then."""
    return [one.after for one in mutants_of(text, "patchbay.router.a", "router/a.py")]


def result_of(mutant: Mutant, name: str) -> Any:
    space: dict[str, Any] = {}
    exec(mutant.compiled("a.py"), space)  # noqa: S102
    return space[name]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("x = a < b", ["x = a <= b", "x = a >= b"]),
        ("x = a >= b", ["x = a > b", "x = a < b"]),
        ("x = a == b", ["x = a != b"]),
        ("x = a is b", ["x = a is not b"]),
        ("x = a not in b", ["x = a in b"]),
        ("x = a < b <= c", ["x = a <= b <= c", "x = a >= b <= c", "x = a < b < c", "x = a < b > c"]),
        ("x = a + b", ["x = a - b"]),
        ("x = a * b", ["x = a / b"]),
        ("x = a // b", ["x = a * b"]),
        ("x = a and b", ["x = a or b"]),
        ("x = not a", ["x = a"]),
        ("x = -a", ["x = a"]),
        ("x = 3", ["x = 4", "x = 2"]),
        ("x = 0.5", ["x = 1.5", "x = -0.5"]),
        ("x = 'a'", ["x = 'aXX'"]),
        ("x = b''", ["x = b'XX'"]),
        ("x = True", ["x = False"]),
        ("x = None", ["x = True"]),
        ("x += a", ["x -= a", "pass"]),
        ("x.a = b", ["pass"]),
        ("x[a] = b", ["pass"]),
        ("x = b", []),
        ("f(a)", ["pass"]),
        ("del x[a]", ["pass"]),
        ("f(a, b=c)", ["pass", "f(a)"]),
        ("f(**c)", ["pass"]),
        ("x = a if b else c", ["x = a if not b else c"]),
        ("if a: pass", ["if not a:"]),
        ("while a < b: pass", ["while a <= b:", "while a >= b:"]),
        ("for a in b: break", ["pass"]),
        ("for a in b: continue", ["pass"]),
        ("raise a", ["pass"]),
    ],
)
def test_each_operator_changes_one_spot(text: str, changed: list[str]) -> None:
    assert found(text) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("def f(): return a", ["return None"]),
        ("def f(): return", ["pass"]),
        ("def f(): return None", ["return True"]),
        ("def f(a=b): return None", ["def f(a):", "return True"]),
        ("def f(a, b=c, d=e): ...", ["def f(a, b, d=e):"]),
        ("def f(*, a=b, c=d): ...", ["def f(*, a, c=d):", "def f(*, a=b, c):"]),
    ],
)
def test_functions_lose_their_answer_and_their_defaults(text: str, changed: list[str]) -> None:
    assert found(text) == changed


def test_what_was_caught_is_thrown_on() -> None:
    assert found("try: x\nexcept E: y = z") == ["pass", "except E: raise"]
    assert found("try: x = y\nexcept E: raise") == ["pass"]


@pytest.mark.parametrize(
    "text",
    [
        "'''A docstring of 3 words.'''",
        "from a import b",
        "x: 'int' = y",
        "def f(a: Literal[3]) -> 'str': ...",
        "__all__ = ['a']",
        "class A:\n    __slots__ = ('a',)",
        "T = TypeVar('T', bound='int')",
        "if TYPE_CHECKING: x = 3",
        "_log.info('text', 3)",
        "self._log.warning('text', extra=3)",
        "assert a < 3, 'never'",
        "x = zip(a, b, strict=True)",
        "x = open(a, encoding='utf-8')",
        "@dataclass(frozen=True)\nclass A(B, kind='x'): ...",
        "x = isinstance(a, int | None)",
        "x = cast('int', y)",
        "x = list['int']",
        "X = Literal['a', 'b']",
        "X = A | None",
        "X = int | B",
    ],
)
def test_what_no_run_shows_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_sum_of_flags_is_no_union_of_types() -> None:
    assert found("x = re.M | re.S") == ["x = re.M & re.S"]
    assert found("x = a | b") == ["x = a & b"]


def test_a_mutant_tells_its_file_line_and_both_statements() -> None:
    [mutant] = mutants_of("x = 1 if y else z\n\n\ndef f():\n    return x\n", "m", "router/a.py")[-1:]
    assert str(mutant) == "router/a.py:5: return x -> return None"


def test_the_tree_is_as_it_was_when_a_mutant_has_been_compiled() -> None:
    mutants = mutants_of("def f():\n    x = 1\n    return x < 2\n", "m", "a.py")
    before = ast.dump(mutants[0].tree)
    answers = {one.after: result_of(one, "f")() for one in mutants}
    assert answers == {
        "x = 2": False,
        "x = 0": True,
        "return None": None,
        "return x <= 2": True,
        "return x >= 2": False,
        "return x < 3": True,
        "return x < 1": False,
    }
    assert ast.dump(mutants[0].tree) == before


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("x = 3", False),
        ("class A:\n    x = 3", False),
        ("def f(a=3): ...", False),
        ("def f():\n    x = 3", True),
        ("class A:\n    def f(self):\n        x = 3", True),
        ("x = lambda: 3", True),
    ],
)
def test_what_only_a_call_runs_is_told_from_what_an_import_runs(text: str, inside: bool) -> None:
    assert mutants_of(text, "m", "a.py")[-1].inside is inside


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x = (1 +\n  y)", range(1, 3)),
        ("if a and\\\n   b:\n    x", range(1, 3)),
        ("for a in 3:\n    x\n    y", range(1, 2)),
        ("if a: x = 3", range(1, 2)),
        ("match a:\n    case 3:\n        x = y", range(2, 3)),
    ],
)
def test_a_mutant_is_reached_by_who_runs_its_statement_or_that_ones_head(text: str, lines: range) -> None:
    assert mutants_of(text, "m", "a.py")[0].lines == lines


def test_long_statements_are_cut_around_what_differs() -> None:
    before, after = shown("a" * 200 + "b" + "c" * 300, "a" * 200 + "d" + "c" * 300)
    assert before.startswith("…aaa")
    assert (before.strip("a…")[:1], after.strip("a…")[:1]) == ("b", "d")
    assert len(before) < 160
    assert shown("x = 1", "x = 2") == ("x = 1", "x = 2")


def test_replacements_leave_the_node_itself_alone() -> None:
    node = ast.parse("a < b", mode="eval").body
    before = ast.dump(node)
    assert len(replacements(node)) == 2
    assert ast.dump(node) == before


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 0, 0.0, 1.0), (85, 100, 0.767, 0.907), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0)],
)
def test_the_interval_of_a_share_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    got = wilson(successes, trials)
    assert isclose(got[0], low, abs_tol=0.001)
    assert isclose(got[1], high, abs_tol=0.001)


def test_a_mutant_that_never_ends_was_noticed_and_one_that_is_not_reached_was_not() -> None:
    fates = [("a", Fate.KILLED), ("b", Fate.KILLED), ("c", Fate.TIMED_OUT), ("d", Fate.SURVIVED), ("e", Fate.UNREACHED)]
    figures = figures_of("router/a", fates, possible=9, left_out=1)
    assert (figures.tried, figures.killed, figures.timed_out, figures.survived) == (5, 2, 1, 2)
    assert figures.share == 0.6
    assert figures.survivors == ("d", "e  (no test reaches it)")


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_a_room_knows_its_tests_and_who_stands_above_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "router/a/one.py": "x = 1",
            "router/a/two.py": "from patchbay.router.a.one import x",
            "router/b/three.py": "from patchbay.router.a import two",
            "core/four.py": "y = 2",
            "tests/unit/test_one.py": "from patchbay.router.a.one import x",
            "tests/unit/test_four.py": "from patchbay.core.four import y",
            "tests/engine/test_two.py": "from patchbay.router.a import two",
        },
    )
    room = read_room("router/a", tmp_path)
    assert room.tests == {"tests/unit/test_one.py": {"router.a.one"}}
    assert room.above == {"router.a.one", "router.a.two", "router.b.three"}
    assert room.importers["router.a.one"] == {"router.a.one", "router.a.two"}
    assert read_room("router/a/two.py", tmp_path).mutated == {"router.a.two"}
    with pytest.raises(FileNotFoundError):
        read_room("router/none", tmp_path)
