"""What a router process writes down of requests: enough to find them, and nothing of what they say."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes.engine import TOKEN, FakeEngine, Script, revision
from tests.fakes.routers import free_port, read_until, start_process
from tests.integration.router.wire import CHAT, ask

pytestmark = pytest.mark.anyio

PROMPT = "AKIA" + "Q3EGRXH7" * 2
CARD = "4111 1111 1111 1111"
KEY, ADMIN, GUARD_KEY = "sk-clients-own-key", "admin-own-token", "guard-own-key"
ANSWER = "the-answers-own-words"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GUARDS = {
    "secrets": {"kind": "rules", "sets": ["secrets"], "action": "block"},
    "pii": {"kind": "rules", "sets": ["pii"], "action": "redact"},
}


def said(text: str, **fields: Any) -> dict[str, Any]:
    return ask("open", messages=[{"role": "user", "content": text}], **fields)


async def logged(folder: Path, requests: Sequence[Mapping[str, Any] | bytes], *extra: str, **settings: Any) -> str:
    """All that a router process has written, once it has answered `requests` and ended."""
    async with FakeEngine(revisions=(revision("sql"),)).running_server() as fake:
        fake.script = Script(words=(ANSWER,))
        routes = {"open": {"model": "sql"}, "guarded": {"model": "sql", "guards": list(GUARDS)}}
        replicas = [{"url": fake.url, "token": TOKEN, "name": "one"}]
        given = {"api_keys": [KEY], "admin_token": ADMIN, "admin_port": 0, "guard_key": GUARD_KEY}
        (folder / "router.yaml").write_text(
            yaml.safe_dump({"replicas": replicas, "routes": routes, "guards": GUARDS, **given, **settings})
        )
        port = free_port()
        router = await start_process("--config", str(folder / "router.yaml"), "--port", str(port), *extra)
        try:
            # Rules of guards are compiled at the first start on a machine.
            begun = await read_until(router.stderr, "listening on", 60)
            await _send(f"http://127.0.0.1:{port}", requests)
            router.send_signal(signal.SIGTERM)
            async with asyncio.timeout(15):
                out, rest = await router.communicate()
        finally:
            if router.returncode is None:
                router.kill()
                await router.wait()
    return begun + rest.decode() + out.decode()


async def _send(url: str, requests: Sequence[Mapping[str, Any] | bytes]) -> None:
    headers = {"authorization": f"Bearer {KEY}", "traceparent": f"00-{TRACE}-{'b' * 16}-01"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
        for number, body in enumerate(requests):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            await client.post(CHAT, content=content, headers={"x-request-id": f"r{number}"})
        await client.get("/healthz")
        await client.get("/v1/models", headers={"authorization": f"Bearer wrong-{KEY}"})


@pytest.mark.parametrize("form", ["text", "json"])
async def test_neither_a_prompt_nor_an_answer_nor_a_key_is_in_any_log(form: str, tmp_path: Path) -> None:
    requests: list[Mapping[str, Any] | bytes] = [
        said(PROMPT),
        said(CARD, stream=True, user=PROMPT),
        {**said(PROMPT), "model": "guarded"},
        {**said(CARD), "model": "guarded"},
        {**said(PROMPT), "model": PROMPT},
        {**said(PROMPT), "stream": PROMPT},
        f'{{"model": "open", "messages": "{PROMPT}'.encode(),
    ]
    written = await logged(tmp_path, requests, "--verbose", log_format=form, access_log=True)
    assert written.count("patchbay.access") == len(requests) + 1
    assert written.count("patchbay.audit") == 2
    for secret in (PROMPT, CARD, KEY, ADMIN, GUARD_KEY, TOKEN, ANSWER):
        assert secret not in written


async def test_each_line_of_a_json_log_is_an_object_and_each_request_one_that_says_who_answered(tmp_path: Path) -> None:
    requests = [said("one"), said("one", stream=True), said("two")]
    written = await logged(tmp_path, requests, log_format="json", access_log=True)
    lines = [json.loads(line) for line in written.splitlines()]
    assert all(list(line)[:4] == ["time", "level", "logger", "message"] for line in lines)
    first, streamed, other, refused = [line for line in lines if line["logger"] == "patchbay.access"]
    assert (
        first.items()
        >= {
            "level": "INFO",
            "message": "request ended",
            "request": "r0",
            "trace": TRACE,
            "endpoint": "chat_completions",
            "route": "open",
            "adapter": "sql",
            "revision": "sql@1",
            "arm": "stable",
            "replica": "one",
            "outcome": "ok",
            "status": 200,
            "prompt_tokens": 1,
            "answer_tokens": 3,
        }.items()
    )
    assert 0 < first["seconds"] < 10
    assert len(first["prompt_hash"]) == 32
    assert first["prompt_hash"] == streamed["prompt_hash"] != other["prompt_hash"]
    assert (refused["status"], refused["prompt_hash"], refused["revision"]) == (401, "", "")


async def test_requests_are_not_logged_unless_that_is_asked_for(tmp_path: Path) -> None:
    written = await logged(tmp_path, [said("one")])
    assert "patchbay.access" not in written
    assert " INFO patchbay.router: listening on " in written


async def test_a_line_of_text_has_the_fields_of_a_request_behind_it(tmp_path: Path) -> None:
    written = await logged(tmp_path, [said("one")], access_log=True)
    line = next(line for line in written.splitlines() if " INFO patchbay.access: request ended request=r0 " in line)
    assert " route=open adapter=sql revision=sql@1 arm=stable replica=one outcome=ok status=200 seconds=0." in line


async def test_a_log_that_nobody_reads_does_not_stop_the_router(tmp_path: Path) -> None:
    async with FakeEngine().running_server() as fake:
        port, admin_port = free_port(), free_port()
        config = {"replicas": [{"url": fake.url, "token": TOKEN}], "port": port, "admin_port": admin_port}
        config |= {"admin_open": True, "access_log": True}
        (tmp_path / "router.yaml").write_text(yaml.safe_dump(config))
        # A pipe of the smallest size, which is full after a few lines.
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        command = [sys.executable, "-m", "patchbay.router", "--config", str(tmp_path / "router.yaml")]
        router = await asyncio.create_subprocess_exec(*command, stderr=writer)
        os.close(writer)
        try:
            async with httpx.AsyncClient(timeout=60) as client:
                await _until_ready(client, f"http://127.0.0.1:{admin_port}/readyz")
                for _ in range(60):
                    answer = await client.get(f"http://127.0.0.1:{port}/v1/models")
                    assert answer.status_code == 200
            router.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await router.wait() == 0
        finally:
            if router.returncode is None:
                router.kill()
                await router.wait()
            os.close(reader)


async def _until_ready(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.05)
