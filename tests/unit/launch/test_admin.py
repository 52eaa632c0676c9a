from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app
from patchbay.core.admin_token import own_token, token_path
from patchbay.launch.admin_keys import public_url


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("PATCHBAY_ADMIN_TOKEN", raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["admin", "token", *arguments])


def told(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_the_command_prints_the_token_that_a_router_has_made() -> None:
    token = own_token(token_path())
    assert told() == token
    assert told("--url", "--admin-url", "http://127.0.0.1:9/") == f"http://127.0.0.1:9/?token={token}"


def test_where_no_router_has_made_one_it_says_so_and_makes_none() -> None:
    result = run()
    assert result.exit_code == 2
    assert f"{token_path()} is not there" in result.output
    assert not token_path().exists()


def test_what_the_configuration_says_goes_before_the_data_directory(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_token(token_path())
    (here / "r.yaml").write_text("admin_tokens: [{name: ci, role: viewer, token: secret-one}]\nadmin_port: 9\n")
    result = run("-c", "r.yaml")
    assert (result.exit_code, "ci (viewer)" in result.output, "secret-one" in result.output) == (2, True, False)
    (here / "open.yaml").write_text("router: {admin_open: true}\n")
    assert "asks for no token" in run("-c", "open.yaml").output
    (here / "patchbay.yaml").write_text("router: {admin_token: secret-two, admin_port: 9}\n")
    assert told("--url") == "http://127.0.0.1:9/?token=secret-two"
    monkeypatch.setenv("PATCHBAY_ADMIN_TOKEN", "secret-three")
    assert told() == "secret-three"


def test_a_token_that_others_can_read_is_told_and_not_printed() -> None:
    token = own_token(token_path())
    token_path().chmod(0o644)
    result = run()
    assert result.exit_code == 2
    assert token not in result.output


def test_commands_ask_the_port_that_the_configuration_here_says(here: Path) -> None:
    assert public_url(None) == "http://127.0.0.1:8080"
    (here / "patchbay.yaml").write_text("base: x\nrouter: {port: 9}\n")
    assert public_url(None) == "http://127.0.0.1:9"
    assert public_url("http://10.0.0.1:8080/v1/") == "http://10.0.0.1:8080"
    result = CliRunner().invoke(build_app(), ["chat", "sql", "-q", "hi"])
    assert (result.exit_code, "127.0.0.1:9" in result.output) == (1, True), result.output
    # A file that is not in order is told of, and asked around.
    (here / "patchbay.yaml").write_text("router: {port: none}\n")
    result = CliRunner().invoke(build_app(), ["chat", "sql", "-q", "hi"])
    assert (result.exit_code, "port" in result.output) == (2, True), result.output
