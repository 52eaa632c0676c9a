"""The documents agree with the code."""

import re
from pathlib import Path

import jsonschema
import pytest

from patchbay.core.settings import parse_settings
from patchbay.core.yaml_text import parse_yaml
from patchbay.launch.config_schema import config_schema
from patchbay.router.settings.config import PolicyConfig
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


BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_yaml_is_read_with_words_for_keys(block: str) -> None:
    def check(value: object) -> None:
        for name, inner in value.items() if isinstance(value, dict) else ():
            assert isinstance(name, str)
            check(inner)

    check(parse_yaml(block))


def test_the_guards_that_the_page_shows_are_accepted() -> None:
    page = (ROOT / "docs" / "guards.md").read_text()
    shown = [parse_yaml(block) for block in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    assert len(shown) == 3
    for block in shown:
        policy = parse_settings(PolicyConfig, block, source="docs/guards.md")
        assert policy.guards.keys() == block["guards"].keys()


def test_editors_take_the_guards_that_the_page_shows() -> None:
    page = (ROOT / "docs" / "guards.md").read_text()
    validator = jsonschema.Draft202012Validator(config_schema("patchbay"))
    for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        assert [fault.message for fault in validator.iter_errors({"base": "x", **parse_yaml(text)})] == []
