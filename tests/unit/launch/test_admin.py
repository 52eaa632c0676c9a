from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.admin_token import own_token, token_path


def _told(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), ["admin", "token", *arguments])
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_the_command_prints_the_token_that_the_next_router_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("PATCHBAY_ADMIN_TOKEN", raising=False)
    token = _told()
    assert own_token(token_path()) == token
    assert _told("--url", "--admin-url", "http://127.0.0.1:9/") == f"http://127.0.0.1:9/?token={token}"


def test_a_token_that_others_can_read_is_told_and_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("PATCHBAY_ADMIN_TOKEN", raising=False)
    token = _told()
    token_path().chmod(0o644)
    result = CliRunner().invoke(build_app(), ["admin", "token"])
    assert result.exit_code == 2
    assert token not in result.output
