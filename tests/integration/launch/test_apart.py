"""Servers that commands start for themselves, in processes of their own."""

import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from patchbay.core.errors import StartError
from patchbay.launch.subprocesses import running

_SERVER = """
import http.server, sys
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_address[1], flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("ended as by Ctrl-C", flush=True)
"""


def test_a_server_that_ends_before_it_is_ready_is_told_of_with_its_last_words_and_the_hint(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('the port is taken'); raise SystemExit(3)"]
    with (
        pytest.raises(StartError, match="the port is taken") as told,
        running(command, tmp_path / "log", lambda: False, hint="Choose another."),
    ):
        pytest.fail("it never was ready")
    assert told.value.hint == "Choose another."


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
