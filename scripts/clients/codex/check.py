"""Codex on the demo: it is driven from outside, as a script drives it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from checks import KEY, KEYED, NOWHERE, QUESTION, SQL, V1, WRONG_KEY, check, holds, run_program, same

_TIME_LIMIT_S = 90
# The demo's model holds 2,048 tokens: Codex' own long prompt would not fit.
_CONFIG = f"""
model = "desk-sql"
model_provider = "patchbay"
model_context_window = 2048
model_instructions_file = "instructions.md"
web_search = "disabled"
include_permissions_instructions = false
include_environment_context = false
include_apps_instructions = false
check_for_update_on_startup = false
project_doc_max_bytes = 0
skills.include_instructions = false
analytics.enabled = false

[model_providers.patchbay]
name = "Patchbay"
base_url = "{V1}"
env_key = "PATCHBAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def codex(*options: str, key: str = KEY, asked: str = QUESTION) -> list[dict[str, Any]]:
    """The events of one prompt."""
    command = ["codex", "exec", "--skip-git-repo-check", "--json", "--sandbox", "read-only", *options, asked]
    done = subprocess.run(
        command,
        check=False,
        env=os.environ | {"PATCHBAY_KEY": key},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    holds(events, f"no event, but: {done.stderr[-250:]}")
    return events


def said(events: list[dict[str, Any]]) -> str:
    """The model's message."""
    items = [one["item"] for one in events if one["type"] == "item.completed"]
    texts = [item["text"] for item in items if item["type"] == "agent_message"]
    return holds(texts, events[-1]) and "".join(texts)


def failure(events: list[dict[str, Any]]) -> str:
    """The message with which the turn failed."""
    return next(one["error"]["message"] for one in events if one["type"] == "turn.failed")


@check("one prompt, by a stream")
def prompt() -> str:
    events = codex()
    usage = next(one["usage"] for one in events if one["type"] == "turn.completed")
    holds(usage["output_tokens"] > 1, usage)
    return same(said(events), SQL)


@check("a session resumed")
def resumed() -> str:
    codex()
    # `codex exec resume` takes none of the options of `codex exec` but these.
    done = subprocess.run(
        ["codex", "exec", "resume", "--last", "--skip-git-repo-check", "--json", QUESTION],
        check=False,
        env=os.environ | {"PATCHBAY_KEY": KEY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    holds(events and events[-1]["type"] == "turn.completed", done.stdout[-250:] + done.stderr[-250:])
    return said(events)


@check("without its tools for a shell")
def without_shell() -> str:
    return same(said(codex("--disable", "shell_tool")), SQL)


@check("a compressed request")
def compressed() -> str:
    return same(said(codex("--enable", "enable_request_compression")), SQL)


@check("an answer by schema")
def schema() -> str:
    fields = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    Path("schema.json").write_text(json.dumps(fields | {"additionalProperties": False}))
    text = said(codex("--output-schema", "schema.json"))
    return holds(isinstance(json.loads(text)["ok"], bool), text)


@check("an unknown model")
def unknown_model() -> str:
    told = failure(codex("--model", NOWHERE))
    return holds((NOWHERE in told and "404" in told) or "model_not_found" in told, told)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        told = failure(codex(key=WRONG_KEY))
        return holds("401" in told, told)


Path(".codex").mkdir(exist_ok=True)
Path(".codex/config.toml").write_text(_CONFIG)
Path(".codex/instructions.md").write_text("You write SQL.")
run_program("@openai/codex", "codex")
