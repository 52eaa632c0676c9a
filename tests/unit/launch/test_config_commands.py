"""`patchbay config`, as people, programs and editors use it."""

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.core.yaml_text import parse_yaml
from tests.fakes.adapter_folder import write_adapter

RUN = CliRunner()
GOOD = """
base: {model: org/model, name: small}
adapters: {sql: ./sql}
router: {port: 8090, admin_token: a-long-secret-token}
guards: {pii: {kind: rules, sets: [pii]}}
routes: {support: {model: sql, guards: [pii]}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_adapter(tmp_path / "sql")
    return tmp_path


def run(*arguments: str) -> Result:
    return RUN.invoke(build_app(), ["config", *arguments])


def test_a_good_file_is_fit_and_its_doubts_are_told(here: Path) -> None:
    (here / "patchbay.yaml").write_text(GOOD)
    assert run("check").exit_code == 0
    assert json.loads(run("check", "--json").stdout) == {"ok": True, "file": "patchbay.yaml", "doubts": []}
    (here / "patchbay.yaml").write_text(GOOD.replace("model: sql", "model: sqll"))
    checked = run("check")
    assert checked.exit_code == 0
    assert "routes.support" in checked.stdout
    assert "'sql'" in checked.stdout


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("base: x\nrouter:\n  prot: 1\n", "line 3, column 3: ", "did you mean 'port'?"),
        ("base: x\nrouter:\n  port: high\n", "line 3, column 3: ", "must be a whole number"),
        ("base: x\nadapters:\n  a: b\n  sql: 3\n", "line 4, column 3: ", "must be a mapping"),
        ("base: x\nlora: many\n", "line 2, column 1: ", "must be a mapping"),
        ("base: x\nrouter:\n  api_keys:\n  - a\n  - 3\n", "line 5, column 5: ", "must be a text"),
        ("base: {model: x, dtype: int4}\n", "line 1, column 18: ", "must be 'auto', 'bfloat16'"),
        ("base: x\nreplicas: {}\nbase: y\n", "line 3, column 1: ", "stands twice"),
        (
            "base: x\nroutes:\n  a: {model: b, pool: big}\n",
            "line 3, column 17: ",
            "this file has only the pool 'default'",
        ),
        ("base: x\nrouter:\n  port: 9001\n", "line 3, column 3: ", "replicas.first_port"),
        ("base: x\nadapters:\n  x: ./a\n", "line 3, column 3: ", "set base.name"),
        ("base:\n  model: x\n  quantization: int5\n", "line 3, column 3: ", "vLLM has no quantization 'int5'"),
        ("base: x\nregistry:\n  url: mysql://h/d\n", "line 3, column 3: ", "Use sqlite:///FILE"),
        ("base: x\nregistry:\n  url: nonsense\n", "line 3, column 3: ", "no database's URL"),
        ("base: x\nregistry:\n  url: sqlite+own:///a.db\n", "line 3, column 3: ", "names the driver 'own'"),
        ("base: x\nregistry:\n  url: sqlite:///no/such/a.db\n", "line 3, column 3: ", "mkdir -p"),
        ("base: x\nregistry:\n  url: sqlite://\n", "line 3, column 3: ", "in memory"),
        ("base: x\nregistry:\n  artifacts:\n    url: ftq://a/b\n", "line 4, column 5: ", "cannot be opened"),
        ("base: org/x\nroutes:\n  a: {model: org/x}\n", "line 3, column 7: ", "the base is called 'x'"),
        ("base: x\nroutes:\n  a: {model: x, fallbacks: [x, a b]}\n", "line 3, column 32: ", "no adapter can be"),
        ("base: x\nguards: {g: {kind: regexp}}\n", "line 2, column 10: ", "must be one of"),
    ],
)
def test_what_is_wrong_is_told_by_its_place_in_plain_words(here: Path, text: str, place: str, words: str) -> None:
    (here / "patchbay.yaml").write_text(text)
    checked = run("check")
    assert checked.exit_code == 2
    told = " ".join(checked.stderr.split())
    assert place in told
    assert words in told
    found = json.loads(run("check", "--json").stdout)
    assert found["ok"] is False
    places = {f"line {one['line']}, column {one['column']}: ": one["message"] for one in found["faults"]}
    assert words in places[place]


def test_what_is_shown_has_every_key_and_no_secret(here: Path) -> None:
    (here / "patchbay.yaml").write_text(GOOD)
    shown = run("show")
    assert "a-long-secret-token" not in shown.stdout
    loaded = parse_yaml(shown.stdout)
    assert (loaded["router"]["port"], loaded["lora"]["max_rank"]) == (8090, 16)
    assert json.loads(run("show", "--json").stdout)["base"]["name"] == "small"


def test_a_new_file_is_fit_and_one_that_is_there_stays(here: Path) -> None:
    assert run("init", "--base", "org/model").exit_code == 0
    assert run("check").exit_code == 0
    assert parse_yaml((here / "patchbay.yaml").read_text())["base"]["model"] == "org/model"
    again = RUN.invoke(build_app(), ["config", "init", "--base", "other"])
    assert again.exit_code != 0
    assert parse_yaml((here / "patchbay.yaml").read_text())["base"]["model"] == "org/model"


def test_no_file_is_told_with_the_command_that_begins_one() -> None:
    assert "patchbay config init" in " ".join(run("check").stderr.split())


@pytest.mark.parametrize("kind", [(), ("--router",)])
def test_the_schema_takes_what_the_models_take_and_marks_a_misspelt_key(kind: tuple[str, ...]) -> None:
    schema = json.loads(run("schema", *kind).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"replicas": ["http://127.0.0.1:1"]} if kind else parse_yaml(GOOD)
    assert not list(validator.iter_errors(good))
    assert list(validator.iter_errors(good | {"prot": 1}))
