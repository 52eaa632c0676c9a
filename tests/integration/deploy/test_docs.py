"""What the documents and the notes have people type can be typed."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from patchbay.command import build_app
from tests.integration.deploy.charts import EVERYTHING, NAMESPACE, RELEASE, chart
from tools.chart import DEPLOY

_PAGE = (DEPLOY.parent / "docs" / "deploy.md").read_text()
_NOTES = chart().render(EVERYTHING, name=RELEASE, namespace=NAMESPACE)["patchbay/templates/NOTES.txt"]
_STUB = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >> "$CALLS"
case "$*" in *"canary watch"*) exit "$VERDICT" ;; esac
"""


def _named(text: str) -> list[list[str]]:
    """Every `patchbay GROUP COMMAND` in `text`."""
    return [match.split() for match in re.findall(r"(?:-- |router |`)patchbay ((?:[a-z]+ ?){1,2})", text)]


@pytest.mark.parametrize("text", [_PAGE, _NOTES], ids=["page", "notes"])
def test_every_command_that_is_named_exists(text: str) -> None:
    named = _named(text)
    assert len(named) > 4
    for words in named:
        command: Any = typer.main.get_command(build_app())
        for word in words:
            known: dict[str, Any] = getattr(command, "commands", {})
            assert word in known or not known, words
            command = known.get(word)


def test_the_pages_values_are_accepted() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
    checked = [yaml.safe_load(block) for block in blocks]
    values = [block for block in checked if not block.keys() <= {"rules"}]
    assert len(values) == 2
    for one in values:
        chart().validate_schema(one)


@pytest.mark.parametrize(("verdict", "last", "code"), [(0, "pools.stable.image.tag=0.2.0", 0), (1, "rollback", 1)])
def test_the_canarys_script_promotes_or_restores(tmp_path: Path, verdict: int, last: str, code: int) -> None:
    script = next(block for block in re.findall(r"^```sh\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL) if "#!" in block)
    for name in ("helm", "kubectl"):
        (tmp_path / name).write_text(_STUB)
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    told = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "VERDICT": str(verdict)}
    ended = subprocess.run(["/bin/sh", "-c", script, "canary", "0.2.0"], env=told, check=False)
    done = calls.read_text().splitlines()
    assert ended.returncode == code
    assert "pools.canary.enabled=true,pools.canary.image.tag=0.2.0" in done[0]
    assert "canary start --pool canary" in done[1]
    assert last in done[3]
