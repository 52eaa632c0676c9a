"""A configuration that cannot work is refused before a start, with all its faults at once, each with what to write."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.errors import ConfigError
from patchbay.launch.checked import checked_config
from patchbay.launch.config import Overrides
from tests.fakes.adapter_folder import write_adapter, write_base

pytestmark = pytest.mark.usefixtures("here")


def _told(*arguments: str) -> str:
    """What `config check` says on standard error of the file here."""
    done = CliRunner().invoke(build_app(), ["config", "check", *arguments])
    assert done.exit_code == 2, done.output
    return " ".join(done.stderr.split())


def _listed() -> list[dict[str, Any]]:
    """The faults that `config check --json` lists of the file here."""
    done = CliRunner().invoke(build_app(), ["config", "check", "--json"])
    assert done.exit_code == 2, done.output
    told = json.loads(done.stdout)
    assert told["ok"] is False
    faults: list[dict[str, Any]] = told["faults"]
    return faults


ROUTE = "base: x\nroutes:\n  a:\n    model: x\n    template:\n      id: t\n      version: 1\n"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("base:\n  model: ./none\n", "line 2, column 3: 'base.model': ", "there is no folder"),
        ("base: ./none\n", "line 1, column 1: 'base.model': ", "there is no folder"),
        ("base: ./empty\n", "line 1, column 1: ", "has no config.json"),
        ("base: {model: x, chat_template: ./none.jinja}\n", "line 1, column 18: ", "there is no file"),
        ("base: {model: x, chat_template: /etc}\n", "line 1, column 18: ", "there is no file /etc"),
        ("base: my model\n", "line 1, column 1: ", "write ./FOLDER, or an id such as org/model"),
        ("base:\n  model:./x\n", "line 1, column 1: 'base': ", "write 'model: …', with a space after the colon"),
        ("base:\n  model:./x\n  name: y\n", "line 3, column 7: ", "(write a space after the colon in line 2)"),
        ("base: x\nadapters:\n  a: source:./x\n", "line 3, column 3: ", "write 'source: …', with a space"),
        ("base: x\nrouter:\n  port:80\n", "line 2, column 1: 'router': ", "write 'port: …', with a space"),
        ("base: x\nroutes:\n  a: model:x\n", "line 3, column 3: ", "write 'model: …', with a space"),
        ("base: x\nadapters:\n  a: ./none\n", "line 3, column 3: ", "there is no folder and no archive"),
        ("base: x\nadapters:\n  a: {source: ./none}\n", "line 3, column 7: ", "there is no folder and no archive"),
        ("base: x\nadapters:\n  a: ./big\n", "line 3, column 3: ", "rank is 64"),
        ("base: x\nlora: {max_rank: 8}\nadapters:\n  a: ./sql\n  b: ./big\n", "line 5, column 3: ", "rank is 64"),
        ("base: x\nguards:\n  g:\n    kind: rules\n    patterns: {a: '['}\n", "line 5, column 16: ", "no regular"),
        ("base: x\nguards:\n  g:\n    kind: rules\n    patterns: {a: 'b+'}\n", "line 5, column 16: ", "`{1,64}`"),
        ("base: x\nguards:\n  g:\n    kind: rules\n    words: ./none\n", "line 5, column 5: ", "cannot be read"),
        (
            "base: x\nguards: {g: {kind: rules, sets: [pii], without: [emial]}}\n",
            "line 2, column 50: ",
            "did you mean 'email'?",
        ),
        (
            "base: x\nguards: {g: {kind: plugin, factory: 'nowhere:x'}}\n",
            "line 2, column 28: ",
            "'nowhere:x' cannot be had",
        ),
        (
            f"{ROUTE}      messages: [{{content: 'For {{{{custmer}}}}.'}}]\n"
            "      variables: {properties: {customer: {}}}\n",
            "line 8, column 19: ",
            "there is no variable 'custmer' under 'variables.properties' (did you mean 'customer'?)",
        ),
        (f"{ROUTE}      messages: [{{content: '{{{{who}}}}'}}]\n", "line 8, column 19: ", "no variable 'who'"),
        (
            "base: x\nroutes:\n  a: {model: x, guards: [pi]}\nguards:\n  pii: {kind: rules, sets: [pii]}\n",
            "line 3, column 26: ",
            "there is no guard 'pi' under 'guards' (did you mean 'pii'?)",
        ),
        (
            "base: x\nroutes:\n  a: {model: x, guards: [secrts]}\nguards:\n  secrets: {kind: rules, sets: [secrets]}\n",
            "line 3, column 26: 'routes.a.guards.0': ",
            "did you mean 'secrets'?",
        ),
        (
            "base: x\nguard_all:\n- pii\n",
            "line 3, column 3: ",
            "there is no guard 'pii' under 'guards' (there are: none)",
        ),
        (
            "base: x\nroutes: {desk: x}\nauto: {general: desk, rules: [{route: dsek, tools: true}]}\n",
            "line 3, column 32: ",
            "did you mean 'desk'?",
        ),
        (
            "base: x\nroutes: {desk: x}\nauto: {general: desk, examples: {desk: [a, b]}}\n",
            "line 3, column 34: ",
            "2 different texts are too few",
        ),
        ("base: x\nregistry: many\n", "line 2, column 1: 'registry': ", "must be a mapping"),
    ],
)
def test_what_can_never_work_is_refused_with_its_place_and_what_to_write(
    here: Path, text: str, place: str, words: str
) -> None:
    (here / "empty").mkdir()
    write_adapter(here / "sql")
    write_adapter(here / "big", r=64)
    (here / "patchbay.yaml").write_text(text)
    told = _told()
    assert place in told
    assert words in told
    with pytest.raises(ConfigError) as refused:
        checked_config(here / "patchbay.yaml", Overrides())
    assert words in " ".join(str(refused.value).split())


def test_programs_are_told_each_fault_with_its_key_line_and_column(here: Path) -> None:
    (here / "patchbay.yaml").write_text("base: x\nrouter:\n  prot: 1\n  port: many\n")
    assert _listed() == [
        {"key": "router.prot", "line": 3, "column": 3, "message": "unknown key 'router.prot' (did you mean 'port'?)"},
        {"key": "router.port", "line": 4, "column": 3, "message": "'router.port': must be a whole number"},
    ]
    assert _told().startswith("error: patchbay.yaml has 2 faults: line 3, column 3: unknown key 'router.prot'")


def test_programs_are_told_where_a_file_stops_being_yaml_and_what_has_no_place(here: Path) -> None:
    (here / "patchbay.yaml").write_text("base: x\nrouter: {port: 1\n")
    [fault] = _listed()
    assert (fault["key"], fault["line"], fault["column"]) == ("", 3, 1)
    (here / "patchbay.yaml").unlink()
    [fault] = _listed()
    assert fault == {"key": "", "line": None, "column": None, "message": "There is no patchbay.yaml here."}


def test_a_template_may_use_what_its_schema_leaves_open(here: Path) -> None:
    for variables in ("{additionalProperties: true}", "{patternProperties: {'^w': {}}}", "{required: [who]}"):
        text = f"{ROUTE}      messages: [{{content: '{{{{who}}}}'}}]\n      variables: {variables}\n"
        (here / "patchbay.yaml").write_text(text)
        assert checked_config(here / "patchbay.yaml", Overrides()).routes["a"].template is not None


def test_a_folder_with_a_model_and_an_adapter_that_fits_are_fit(here: Path) -> None:
    write_base(here / "base")
    write_adapter(here / "sql")
    (here / "patchbay.yaml").write_text("base: ./base\nadapters: {sql: ./sql}\n")
    assert checked_config(here / "patchbay.yaml", Overrides()).adapters["sql"].source == str(here / "sql")


STAGES = """\
base: {model: ./none, dtype: int4}
adapters: {sql: ./gone}
registry: {url: "mysql://h/d"}
router: {prot: 1, api_keys: [a, 3]}
guards:
  own: {kind: rules, patterns: {a: "["}}
  half: {kind: regexp}
routes:
  a: {model: sql, guards: [own, oen, half]}
  b: {model: sql, limits: {max_tokens: none}, guards: [nothing-like-it]}
tiers: {pro: {degrade: {when_waiting_s: 1, route: nowhere}}}
"""


def test_faults_of_all_stages_are_told_at_once_and_none_that_only_follows(here: Path) -> None:
    (here / "patchbay.yaml").write_text(STAGES)
    told = _told()
    for words in (
        "'base.dtype': must be",
        "line 1, column 8: 'base.model': there is no folder",
        "'adapters.sql.source': there is no folder",
        "'registry.url': ",
        "unknown key 'router.prot' (did you mean 'port'?)",
        "line 4, column 33: 'router.api_keys.1': must be a text",
        "line 6, column 33: 'guards.own.patterns.a': ",
        "'guards.half': 'kind' must be one of",
        "line 9, column 33: 'routes.a.guards.1': there is no guard 'oen' under 'guards' (did you mean 'own'?)",
        "'routes.b.limits.max_tokens': must be a whole number",
        "'routes.b.guards.0': there is no guard 'nothing-like-it'",
        "'tiers.pro.degrade.route': there is no route 'nowhere'",
    ):
        assert words in told
    assert "no guard 'half'" not in told
    assert "'base': is missing" not in told


def test_without_a_base_the_rest_is_still_looked_at(here: Path) -> None:
    (here / "patchbay.yaml").write_text("adapters: {sql: ./gone}\nroutes: {a: {model: org/x}}\nguard_all: [pii]\n")
    told = _told()
    assert "'base': is missing" in told
    assert "'adapters.sql.source': there is no folder" in told
    assert "there is no guard 'pii'" in told


def test_a_routers_file_tells_all_at_once_too(here: Path) -> None:
    (here / "router.yaml").write_text(
        "replicas: [nowhere]\nprot: 1\nguards: {g: {kind: rules, words: ./none}}\nguard_all: [h]\n"
    )
    told = _told("-c", "router.yaml", "--router")
    for words in ("is no replica's address", "did you mean 'port'?", "cannot be read", "there is no guard 'h'"):
        assert words in told
