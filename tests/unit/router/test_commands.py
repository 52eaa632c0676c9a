from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from patchbay.router.cli.serve import run


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command("router")(run)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--replica", "ftp://x"], "http://HOST:PORT"),
        ([], "there is no replica"),
        (["--replica", "http://127.0.0.1:1", "--host", "0.0.0.0"], "set 'api_keys'"),
        (["--replica", "http://127.0.0.1:1", "--port", "99999"], "'port'"),
        (["--config", "/nowhere/router.yaml"], "Cannot read the configuration"),
    ],
)
def test_what_cannot_run_ends_with_2_and_one_clear_line(arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_a_wrong_key_in_the_file_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text("replicas: ['http://127.0.0.1:1']\ndrain_timeout: 3\n")
    assert "did you mean 'drain_timeout_s'" in invoke("--config", str(file)).stderr


def test_verbose_keeps_the_traceback() -> None:
    assert invoke("-v").exception.__class__.__name__ == "ConfigError"
