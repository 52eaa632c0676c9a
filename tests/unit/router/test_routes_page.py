"""docs/routes.md is what a newcomer follows, so what stands in it must work as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.core.yaml_text import parse_yaml, yaml_text
from patchbay.launch.config import PatchbayConfig
from patchbay.launch.demo import demo_sections
from patchbay.router.cli.routes import app
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.table import compile_table
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.policy import check_kept
from patchbay.tuning.demo.build import shipped_models

PAGE = (Path(__file__).parent.parent.parent.parent / "docs" / "routes.md").read_text()
BLOCKS = [parse_yaml(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


def whole() -> dict[str, Any]:
    """All of the page's configuration in one file, as a reader of all of it would have it."""
    merged: dict[str, Any] = {}
    for block in BLOCKS:
        for key, value in block.items():
            merged[key] = value if isinstance(value, list) else {**merged.get(key, {}), **value}
    return merged


def test_the_pages_configuration_is_accepted_and_its_auto_works() -> None:
    book = compile_table(parse_settings(PolicyConfig, whole(), source="docs/routes.md"))
    assert book.choose("auto", RequestFacts(text="TICKET: my lamp is broken")).route == "support"
    assert book.choose("auto", RequestFacts(text="hello", headers={"x-team": "support"})).route == "support"
    assert book.choose("auto", RequestFacts(text="Tell me a joke about penguins.")).route == "plain"
    assert book.choose("answers", RequestFacts(caller=b"user:1")).arm in ("stable", "new")


def explained(text: str, file: Path) -> str:
    done = CliRunner().invoke(app, ["explain", text, "-c", str(file)])
    assert done.exit_code == 0, done.output
    return "\n".join(line.rstrip() for line in done.output.strip().splitlines())


def test_the_pages_command_says_what_the_page_shows(tmp_path: Path) -> None:
    file = tmp_path / "patchbay.yaml"
    file.write_text(yaml_text(whole()))
    [(text, shown)] = re.findall(r'patchbay route explain "([^"]+)"\n```\n\n```\n(.*?)\n```', PAGE, re.S)
    assert re.sub(r"0\.\d+", "0", explained(text, file)) == re.sub(r"0\.\d+", "0", shown)


def test_the_pages_command_for_the_demo_says_what_the_page_says(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(yaml_text(demo_sections(shipped_models(tmp_path))))
    [(text, route)] = re.findall(r'patchbay route explain "([^"]+)" -c demo.yaml +# ([\w-]+)', PAGE)
    assert explained(text, file).splitlines()[0].split() == ["route", route]
    assert explained("Label this: my order never arrived", file).splitlines()[0].split() == ["route", "general"]


def test_a_limit_that_is_raised_is_accepted_by_the_name_that_the_page_writes() -> None:
    [names] = [block["accept_weaker"] for block in BLOCKS if "accept_weaker" in block]
    before = parse_settings(PolicyConfig, whole(), source="before")
    raised = whole() | {"accept_weaker": []}
    raised["tiers"]["pro"]["limits"]["requests_per_minute"] *= 2
    with pytest.raises(ConfigError, match="less would be protected") as refused:
        check_kept(before, parse_settings(PolicyConfig, raised, source="now"), source="now")
    assert f"accept_weaker: [{', '.join(names)}]" in str(refused.value)
    check_kept(before, parse_settings(PolicyConfig, raised | {"accept_weaker": names}, source="now"), source="now")


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_each_block_is_a_part_that_the_configuration_knows(block: int) -> None:
    assert BLOCKS[block].keys() <= PolicyConfig.model_fields.keys()


def test_the_pages_configuration_is_accepted_in_the_one_file_of_patchbay_up() -> None:
    config = parse_settings(PatchbayConfig, {"base": "demo-base"} | whole(), source="docs/routes.md")
    assert config.routes["plain"].model == "demo-base"
