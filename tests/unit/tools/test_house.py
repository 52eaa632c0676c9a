"""The structure of the code stays as it was decided: no circles, no class name twice, nothing too long."""

import ast
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tools.house.commands import show
from tools.house.constructors import constructors_of
from tools.house.figures import documented, duplicate_classes, functions_of, riddles, spread
from tools.house.modules import FOLDERS, PACKAGES, ROOT, Module, imports_of, read_modules
from tools.house.rooms import house_of, room_of

# A migration is never changed again.
_LEFT_AS_THEY_ARE = {"registry.migrations.versions.v0001_first_tables._tables"}
_RIDDLES_LEFT = {"registry.migrations.versions.v0008_served"}
# Rooms of the router without any. The rest of the router, and two single functions, still have some.
_ROUTER_WITHOUT_RIDDLES = {
    f"router.{room}"
    for room in (
        *("admin", "admission", "balance", "canary", "carry", "cli", "control", "discovery", "fleet", "http"),
        *("routes", "tenants", "upstream"),
    )
}
_SINGLE_RIDDLES = {"adapters.publish.told", "launch.config.served"}
_MOST_RIDDLES = 1


def module(name: str, text: str) -> Module:
    return Module(name, Path(f"{name}.py"), ast.parse(text), tuple(text.splitlines()))


@pytest.fixture(scope="module")
def modules() -> Mapping[str, Module]:
    return read_modules()


def test_this_house_has_no_circle_and_no_class_name_twice(modules: Mapping[str, Module]) -> None:
    house = house_of({name: imports_of(found, modules) for name, found in modules.items()})
    assert house.circle == ()
    assert duplicate_classes(modules.values()) == {}
    assert set(house.rooms) >= {"core", "guards", "router.http", "router.request"}


def test_every_module_of_the_router_stands_in_a_room(modules: Mapping[str, Module]) -> None:
    loose = {name for name, found in modules.items() if found.file.parent == ROOT / "router"}
    assert loose == {"router", "router.__main__"}


def test_no_function_and_no_file_of_this_house_is_too_long(modules: Mapping[str, Module]) -> None:
    long = {function.place for function in functions_of(modules.values()) if function.lines > 50}
    assert long <= _LEFT_AS_THEY_ARE
    assert [name for name, found in modules.items() if len(found.lines) > 400] == []


def test_no_constructor_of_this_house_is_easily_called_wrongly(modules: Mapping[str, Module]) -> None:
    assert [found.place for found in constructors_of(modules.values()) if found.is_unclear] == []


@pytest.mark.parametrize(
    ("text", "by_position", "unclear"),
    [
        ("class A:\n    def __init__(self, a: int, b: str, *, c: str): ...", ["a", "b"], False),
        ("class A:\n    def __init__(self, a: int, b: int): ...", ["a", "b"], True),
        ("class A:\n    def __init__(self, a: int, b: str, c: int, d: str, e: int): ...", [*"abcde"], True),
        ("@dataclass\nclass A:\n    a: int\n    b: int = field(init=False)", ["a"], False),
        ("@dataclass(frozen=True)\nclass A:\n    a: int\n    _: KW_ONLY\n    b: int", ["a"], False),
        ("@dataclass(kw_only=True)\nclass A:\n    a: int\n    b: int", [], False),
        ("class A(msgspec.Struct, frozen=True):\n    a: int\n    b: int", ["a", "b"], True),
        ("class A(msgspec.Struct, kw_only=True):\n    a: int\n    b: int", [], False),
    ],
)
def test_what_a_constructor_takes_by_position_is_read(text: str, by_position: list[str], unclear: bool) -> None:
    [found] = constructors_of([module("router.a", text)])
    assert ([name for name, _ in found.by_position], found.is_unclear) == (by_position, unclear)


def test_what_a_base_class_takes_by_position_counts_and_other_classes_do_not() -> None:
    text = "@dataclass\nclass A:\n    a: int\n@dataclass\nclass B(A):\n    b: int\nclass C:\n    c: int"
    assert [(one.place, one.is_unclear) for one in constructors_of([module("core.a", text)])] == [
        ("core.a.A", False),
        ("core.a.B", True),
    ]
    assert constructors_of([module("launch.a", text)]) == []


def test_every_public_name_of_this_house_has_a_docstring_but_few(modules: Mapping[str, Module]) -> None:
    having, public = documented(modules.values())
    assert having / public > 0.96


def test_no_docstring_of_this_house_begins_with_a_question_or_a_parameter() -> None:
    found = set(riddles(read_modules(packages=FOLDERS).values())) - _RIDDLES_LEFT
    elsewhere = {name for name in found if name.startswith("router.") and room_of(name) not in _ROUTER_WITHOUT_RIDDLES}
    assert found - elsewhere <= _SINGLE_RIDDLES
    assert len(found) <= _MOST_RIDDLES


def test_riddles_are_question_words_and_parameters_at_the_beginning() -> None:
    text = "'What there is.'\nclass Sample:\n    '`offload`: does it.'\n    def said(self):\n        'How, in words.'\n"
    text += "    def _hidden(self):\n        'Why not.'\ndef plain():\n    'Whether it is so.'\n"
    assert riddles([module("one", text)]) == ["one", "one.Sample", "one.said"]


def test_nothing_is_imported_by_the_bare_name_of_its_folder() -> None:
    files = [
        file
        for folder in (*PACKAGES, "loadtests", "observability", "tests", "tools")
        for file in (ROOT / folder).rglob("*.py")
    ]
    nodes = [(file, node) for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    asked = [
        (str(file), name)
        for file, node in nodes
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    ]
    assert [(file, name) for file, name in asked if name.partition(".")[0] in PACKAGES] == []


def test_imports_are_found_at_the_top_in_functions_and_of_modules_in_packages() -> None:
    known = {name: module(name, "") for name in ("a", "a.b", "a.c", "d")}
    text = "import patchbay.d\nfrom patchbay.a import b, Thing\ndef f():\n    from patchbay.a.c import x\n"
    assert imports_of(module("e", text), known) == {"a", "a.b", "a.c", "d"}


def test_floors_rise_with_imports_and_a_circle_has_none() -> None:
    straight = house_of({"a": frozenset(), "b": frozenset({"a"}), "c": frozenset({"a", "b"})}, str)
    assert (straight.floors, straight.arrows, straight.circle) == ({"a": 0, "b": 1, "c": 2}, 3, ())
    round_about = house_of({"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"})}, str)
    assert set(round_about.circle) == {"a", "b", "c"}
    assert round_about.floors == {}


@pytest.mark.parametrize(
    ("name", "room"),
    [("core.errors", "core"), ("router.http.body", "router.http"), ("router.__main__", "router.__main__")],
)
def test_rooms_are_packages_and_the_router_s_own_packages(name: str, room: str) -> None:
    assert room_of(name) == room


def test_figures_of_functions_docstrings_and_names() -> None:
    text = "'A module.'\nclass Twice:\n    'A class.'\n    def method(self):\n        pass\n"
    text += "def _hidden():\n    x = 1\n    return x\n"
    one, other = module("one", text), module("other", "class Twice:\n    pass\n")
    found = [(function.place, function.lines) for function in functions_of([one])]
    assert found == [("one._hidden", 3), ("one.method", 2)]
    assert spread([1, 2, 3, 10])[0] == 2.5
    assert documented([one]) == (2, 3)
    assert duplicate_classes([one, other]) == {"Twice": ("one", "other")}


def test_programs_get_json_and_people_a_table() -> None:
    app = typer.Typer()
    app.command()(show)
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["circles"] == 0
    assert "floors" in CliRunner().invoke(app, []).output
