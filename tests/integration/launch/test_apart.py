"""Servers that commands start for themselves, in processes of their own."""

import socket
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from patchbay.core.admin_token import own_token, token_path
from patchbay.core.data_lock import sole_user
from patchbay.core.errors import StartError
from patchbay.launch.subprocesses import patchbay_up, running
from tests.fakes.routers import free_port

_SERVER = """
import http.server, sys
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_address[1], flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("ended as by Ctrl-C", flush=True)
"""


def test_a_server_that_ends_before_it_is_ready_is_told_of_with_its_last_words_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('starting\\nerror: The port is taken.'); raise SystemExit(3)"]
    with (
        pytest.raises(StartError) as told,
        running(command, tmp_path / "log", lambda: False),
    ):
        pytest.fail("it never was ready")
    assert str(told.value) == "It does not start: The port is taken."


def test_an_up_that_a_command_starts_has_a_data_directory_of_its_own_and_this_users_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "mine"))
    port = {"port": free_port(), "admin_port": free_port()}
    config = {"base": str(tmp_path / "none"), "router": port, "adapters": {"sql": str(tmp_path / "no")}}
    with (
        sole_user(tmp_path / "mine"),
        pytest.raises(StartError, match=r"'adapters\.sql\.source': there is no folder") as told,
        patchbay_up(config, tmp_path / "its"),
    ):
        pytest.fail("it never was ready")
    assert str(told.value).count("error:") == 0
    assert own_token(tmp_path / "its" / "data" / "admin-token") == own_token(token_path())


def test_the_demo_of_a_canary_says_whose_port_it_wants_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(build_app(), ["demo", "canary", "--port", str(port)])
    assert done.exit_code == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.output
    assert "Set --port to another." in done.output


def test_a_server_is_there_from_when_it_answers_and_has_ended_with_the_block_even_where_that_fails(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"

    def is_ready() -> bool:
        return httpx.get(f"http://127.0.0.1:{log.read_text().split()[0]}/").is_success if log.read_text() else False

    command = [sys.executable, "-c", _SERVER]
    with suppress(ZeroDivisionError), running(command, log, is_ready):
        assert is_ready()
        raise ZeroDivisionError
    assert "ended as by Ctrl-C" in log.read_text()
    with pytest.raises(httpx.ConnectError):
        is_ready()
