"""docs/routes.md is what a newcomer follows, so what stands in it must work as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest

from patchbay.core.settings import parse_settings
from patchbay.core.yaml_text import parse_yaml
from patchbay.launch.config import PatchbayConfig
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.table import compile_table
from patchbay.router.settings.config import PolicyConfig

PAGE = (Path(__file__).parent.parent.parent.parent / "docs" / "routes.md").read_text()
BLOCKS = [parse_yaml(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


def whole() -> dict[str, Any]:
    """All of the page's configuration in one file, as a reader of all of it would have it."""
    merged: dict[str, Any] = {}
    for block in BLOCKS:
        for key, value in block.items():
            merged[key] = {**merged.get(key, {}), **value}
    return merged


def test_the_pages_configuration_is_accepted_and_its_auto_works() -> None:
    book = compile_table(parse_settings(PolicyConfig, whole(), source="docs/routes.md"))
    assert book.choose("auto", RequestFacts(text="TICKET: my lamp is broken")).route == "support"
    assert book.choose("auto", RequestFacts(text="hello", headers={"x-team": "support"})).route == "support"
    assert book.choose("auto", RequestFacts(text="Tell me a joke about penguins.")).route == "plain"
    assert book.choose("answers", RequestFacts(caller=b"user:1")).arm in ("stable", "new")


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_each_block_is_a_part_that_the_configuration_knows(block: int) -> None:
    assert BLOCKS[block].keys() <= PolicyConfig.model_fields.keys()


def test_the_pages_configuration_is_accepted_in_the_one_file_of_patchbay_up() -> None:
    config = parse_settings(PatchbayConfig, {"base": "demo-base"} | whole(), source="docs/routes.md")
    assert config.routes["plain"].model == "demo-base"
