"""Bodies and headers that are wrong where nobody looks first, at a replica's gate: refused in words, or the engine's to
answer; never a fault of the replica, and nothing of them in its log."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.core.asgi import Message, Scope
from patchbay.core.settings import parse_settings
from patchbay.server.app import ServerApp
from patchbay.server.config import ServerConfig
from patchbay.server.gate import ENDPOINTS
from patchbay.server.metrics import ServerMetrics
from patchbay.server.replica import ServingReplica
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.artifacts import stored
from tests.fakes.lora_engine import FakeLoraEngine
from tests.fakes.odd_json import NESTED, ODD

SECRET = "do-not-log-me"
SOUND = {"messages": b'[{"role": "user", "content": "hi"}]', "prompt": b'"hi"', "input": b'"hi"'}
FIELDS = (
    "unread",
    "messages",
    "prompt",
    "input",
    "model",
    "stream",
    "stream_options",
    "n",
    "priority",
    "max_tokens",
    "response_format",
    "structured_outputs",
    "text",
    "output_config",
    "tools",
    "functions",
)
HEADERS = (
    (b"x-patchbay-revision", b"sql@1-0000"),
    (b"x-patchbay-revision", b"\xff"),
    (b"x-patchbay-timeout-ms", b"x"),
    (b"x-patchbay-timeout-ms", b"9" * 5000),
    (b"x-patchbay-timeout-ms", b"9" * 400),
    (b"x-patchbay-priority", b"-1"),
    (b"x-patchbay-priority", b"one"),
    (b"x-patchbay-priority", b"9" * 5000),
    (b"x-patchbay-token-ids", b"1"),
)


class Gate:
    """A replica's application, called without a connection. `said`: what was logged."""

    def __init__(self, runner: asyncio.Runner, app: ServerApp) -> None:
        self._runner = runner
        self._app = app
        self.said: list[str] = []

    def ask(self, path: str, body: bytes, *headers: tuple[bytes, bytes], method: str = "POST") -> tuple[int, bytes]:
        """The status and the body of the answer. Raises what the application raises."""
        self.said.clear()
        return self._runner.run(self._ask(path, body, headers, method))

    async def _ask(self, path: str, body: bytes, headers: Any, method: str) -> tuple[int, bytes]:
        sent: list[Message] = []
        given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if given:
                return given.pop()
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        length = (b"content-length", str(len(body)).encode())
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"content-type", b"application/json"), length, *headers],
        }
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder: Path = tmp_path_factory.mktemp("replica")
    data = {"base": {"model": "org/tiny", "name": "tiny"}, "artifacts": {"url": str(folder / "artifacts")}}
    config = parse_settings(ServerConfig, data | {"cache_dir": folder / "cache"}, source="test")
    replica = ServingReplica(config, ServerMetrics())
    with asyncio.Runner() as runner:
        runner.run(replica.open(FakeLoraEngine()))
        made = Gate(runner, ServerApp(replica))
        described = stored(folder / "artifacts", write_adapter(folder / "sql", fill=1))
        put = json.dumps({"revision": 1, **described}).encode()
        assert made.ask("/internal/adapters/sql", put, method="PUT")[0] == 200
        handler = _Lines(made.said)
        logging.getLogger().addHandler(handler)
        yield made
        logging.getLogger().removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(self.format(record))


def check(gate: Gate, answered: tuple[int, bytes], asked: object) -> int:
    status, answer = answered
    # A revision that the router has chosen may have gone.
    assert status < 500 or b"is not on replica-0 now" in answer, (status, answer[:300], asked)
    if status >= 300:
        document = json.loads(answer)
        assert document["error"]["message"], answer
    assert SECRET not in "\n".join(gate.said)
    return status


@settings(max_examples=1500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_body_is_a_fault_of_the_replica(gate: Gate, data: st.DataObject) -> None:
    fields = {**SOUND, "model": data.draw(st.sampled_from([b'"sql"', b'"tiny"', b'"nobody"']))}
    for name in data.draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True)):
        fields[name] = data.draw(st.sampled_from(NESTED)).replace(b"%b", ODD[data.draw(st.sampled_from(sorted(ODD)))])
    fields["secret"] = f'"{SECRET}"'.encode()
    body = b", ".join(b"%b: %b" % (json.dumps(name).encode(), value) for name, value in fields.items())
    headers = data.draw(st.lists(st.sampled_from(HEADERS), max_size=1))
    path = data.draw(st.sampled_from(sorted(ENDPOINTS)))
    check(gate, gate.ask(path, b"{" + body + b"}", *headers), (path, body[:300], headers))


@pytest.mark.parametrize("odd", sorted(ODD))
def test_a_body_that_is_no_object_is_said_to_be_another_path(gate: Gate, odd: str) -> None:
    for path in (*ENDPOINTS, "/internal/adapters/label"):
        method = "PUT" if path.startswith("/internal") else "POST"
        status = check(gate, gate.ask(path, ODD[odd], method=method), (path, odd))
        assert status in (400, 422), (path, status)
