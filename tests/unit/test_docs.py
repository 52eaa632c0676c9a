"""The documents agree with the code."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loadtests.load.scenario import Scenario
from patchbay.adapters.manifest import AdapterManifest
from patchbay.core.errors import ConfigError
from patchbay.core.settings import Settings, parse_settings
from patchbay.core.yaml_text import parse_yaml
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.config_schema import config_schema
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.settings.config import PolicyConfig, RouterConfig
from patchbay.tuning.data.deciding import TuningCase
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.space import SweepSpace
from tools.reference import OUTPUT, reference

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_configuration_reference_is_what_the_code_says() -> None:
    assert OUTPUT.read_text() == reference(), "run: python -m tools.reference"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_between_the_documents_is_dead(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_document_names_exists(page: Path) -> None:
    named = re.findall(r"`([\w/-]+\.py|(?:scripts|requirements|deploy|docs)/[\w/.-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


ALL_BLOCKS = [
    (str(page.relative_to(ROOT)), number, block)
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```ya?ml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
]
BLOCKS = [pytest.param(block, id=f"{Path(page).name}-{number}") for page, number, block in ALL_BLOCKS]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_yaml_is_read_with_words_for_keys(block: str) -> None:
    def check(value: object) -> None:
        for name, inner in value.items() if isinstance(value, dict) else ():
            assert isinstance(name, str)
            check(inner)

    check(parse_yaml(block))


# What blocks of a file name that stands elsewhere, and what every such file has.
ROUTES = {name: {"model": "m"} for name in ("plain", "support", "ask")}
CHART = json.loads((ROOT / "deploy" / "helm" / "patchbay" / "values.schema.json").read_text())
# The first keys of the blocks that other programs read: Argo Rollouts, the adapter of Prometheus, Prometheus.
FOREIGN = {"docs/canary.md": {"metrics"}, "docs/deploy.md": {"rules"}, "docs/operations.md": {"rule_files"}}


def read_block(page: str, block: str, secrets: Path) -> Any:
    """Reads a block as the file that it is a part of, its secrets from a folder. Raises ConfigError where it cannot be
    one."""
    for name in re.findall(r"/run/secrets/([\w-]+)", block):
        (secrets / name).write_text("secret")
    data: dict[str, Any] = parse_yaml(block.replace("/run/secrets", str(secrets)))
    first = next(iter(data))
    if first in FOREIGN.get(page, ()):
        return data
    if "poolDefaults" in data:
        return jsonschema.validate(data, CHART)
    others: dict[str, type[Settings]] = {
        "owner": AdapterManifest,
        "steps": PlanConfig,
        "says": Scenario,
        "task": TuningCase,
        "name": TrainingRecipe,
        "trials": SweepSpace,
    }
    if first in others:
        return parse_settings(others[first], data, source=page)
    whole = {"registry": {}, **data, "routes": {**ROUTES, **data.get("routes", {})}}
    if data.keys() <= PatchbayConfig.model_fields.keys() and not isinstance(data.get("replicas"), list):
        return parse_settings(PatchbayConfig, {"base": "x", **whole}, source=page)
    return parse_settings(RouterConfig, {"replicas": ["http://a:1"], **whole}, source=page)


@pytest.mark.parametrize(
    ("page", "block"), [pytest.param(page, block, id=f"{page}-{number}") for page, number, block in ALL_BLOCKS]
)
def test_every_block_of_yaml_is_taken_by_what_reads_such_a_file(page: str, block: str, tmp_path: Path) -> None:
    read_block(page, block, tmp_path)


@pytest.mark.parametrize("block", ["guards: {g: {kind: rules, sets: [pi]}}", "steps: []", "nothing: 1", "says: 1"])
def test_a_block_that_nothing_reads_is_seen(block: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_block("docs/guards.md", block, tmp_path)


def test_the_guards_that_the_page_shows_are_accepted() -> None:
    page = (ROOT / "docs" / "guards.md").read_text()
    shown = [parse_yaml(block) for block in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    assert len(shown) >= 4
    for block in shown:
        policy = parse_settings(PolicyConfig, block, source="docs/guards.md")
        assert policy.guards.keys() == block["guards"].keys()


def test_editors_take_the_guards_that_the_page_shows() -> None:
    page = (ROOT / "docs" / "guards.md").read_text()
    validator = jsonschema.Draft202012Validator(config_schema("patchbay"))
    for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        assert [fault.message for fault in validator.iter_errors({"base": "x", **parse_yaml(text)})] == []
