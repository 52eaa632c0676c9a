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
sandbox_mode = "read-only"
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


def codex(*options: str, key: str = KEY) -> list[dict[str, Any]]:
    """The events of one prompt."""
    done = subprocess.run(
        ["codex", "exec", "--skip-git-repo-check", "--json", *options, QUESTION],  # noqa: S607 - from its environment
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


def answered(events: list[dict[str, Any]]) -> str:
    """The model's message. Raises AssertionError where the turn did not end well, or told no usage."""
    holds(events[-1]["type"] == "turn.completed", failed(events))
    holds(events[-1]["usage"]["output_tokens"] > 1, events[-1])
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return "".join(item["text"] for item in items if item["type"] == "agent_message")


def failed(events: list[dict[str, Any]]) -> str:
    """The message with which the turn failed."""
    return str(next((event["error"]["message"] for event in events if event["type"] == "turn.failed"), events))


@check("one prompt, by a stream")
def prompt() -> str:
    return same(answered(codex()), SQL)


@check("a session resumed")
def resumed() -> str:
    codex()
    said = answered(codex("resume", "--last"))
    return holds(said, said)


@check("without its shell")
def without_shell() -> str:
    return same(answered(codex("--disable", "shell_tool")), SQL)


@check("an answer by schema")
def schema() -> str:
    fields = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    Path("schema.json").write_text(json.dumps(fields | {"additionalProperties": False}))
    text = answered(codex("--output-schema", "schema.json"))
    return holds(isinstance(json.loads(text)["ok"], bool), text)


@check("an unknown model")
def unknown_model() -> str:
    told = failed(codex("--model", NOWHERE))
    return holds(NOWHERE in told, told)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        told = failed(codex(key=WRONG_KEY))
        return holds("401" in told, told)


Path(".codex").mkdir(exist_ok=True)
Path(".codex/config.toml").write_text(_CONFIG)
Path(".codex/instructions.md").write_text("You write SQL.")
run_program("@openai/codex", "codex")
