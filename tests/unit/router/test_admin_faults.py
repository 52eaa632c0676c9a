"""Faults behind the admin port, and those that are no request's, are answered in JSON and stand in the log."""

import json
import logging
import sys
from pathlib import Path

import pytest

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.sources.hub import fetch_from_hub
from patchbay.core.asgi import Message, Receive, Scope, Send
from patchbay.core.errors import RegistryError, SourceError, Unavailable
from patchbay.router.admin.app import Faults
from patchbay.router.admin.threads import translated
from patchbay.router.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio


async def nothing() -> Message:
    return {"type": "http.request", "body": b""}


async def test_an_error_that_nobody_foresaw_is_answered_in_json_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("nobody foresaw it")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    metrics = Metrics()
    with caplog.at_level(logging.ERROR, "patchbay.router"):
        await Faults(broken, metrics)({"type": "http", "method": "GET", "path": "/admin/v1/x"}, nothing, send)
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"]["message"]
    assert "the admin port failed at GET /admin/v1/x" in caplog.text
    assert 'patchbay_router_faults_total{where="admin"} 1.0' in metrics.render().decode()


def test_a_registry_that_cannot_be_used_is_a_503_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "patchbay.router"), pytest.raises(Unavailable, match="is locked"), translated():
        raise RegistryError("The registry is locked.")
    assert "could not serve a request: The registry is locked" in caplog.text


def test_a_hub_whose_package_is_missing_is_said_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SourceError, match=r"huggingface_hub.*not installed.*hub"):
        fetch_from_hub("hf://a/b", FolderLimits(), tmp_path, None)
