"""Claude Code on the demo: it is driven from outside, as a script drives it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from checks import KEY, KEYED, NOWHERE, QUESTION, SQL, URL, WRONG_KEY, check, holds, run_program, same

_TIME_LIMIT_S = 90
# The demo's model holds 2,048 tokens: its own long prompt and its tools' results would not fit.
_SMALL = ("--bare", "--system-prompt", "You write SQL.", "--tools", "", "--no-session-persistence")


def claude(*options: str, key: str = KEY, model: str = "desk-sql", asked: str = QUESTION) -> str:
    """What it prints for one prompt."""
    there = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_KEY": key, "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "256"}
    command = ["claude", "--print", asked, "--model", model, *_SMALL, *options]
    done = subprocess.run(
        command,
        check=False,
        env=os.environ | there | {"CLAUDE_CODE_MAX_RETRIES": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
    )
    return done.stdout or done.stderr


def result(*options: str, **asked: Any) -> dict[str, Any]:
    """Its result, of an answer or of an error."""
    lines = claude("--output-format", "json", *options, **asked).splitlines()
    return next(found for found in map(json.loads, filter(_is_object, lines)) if found.get("type") == "result")


def _is_object(line: str) -> bool:
    return line.startswith("{")


@check("one prompt")
def prompt() -> str:
    return same(claude().strip(), SQL)


@check("a result with its usage")
def usage() -> str:
    found = result()
    holds(not found["is_error"] and found["usage"]["output_tokens"] > 1, found)
    same(found["result"], SQL)
    return f"{found['usage']['input_tokens']} tokens in, {found['usage']['output_tokens']} out"


@check("a stream of events")
def events() -> str:
    printed = claude("--output-format", "stream-json", "--verbose", "--include-partial-messages")
    told = [json.loads(line) for line in printed.splitlines() if _is_object(line)]
    deltas = [one["event"].get("delta", {}).get("text", "") for one in told if one["type"] == "stream_event"]
    return same("".join(deltas), SQL) + f" ({len(deltas)} events)"


@check("with its own tools")
def tools() -> str:
    Path("notes.txt").write_text(QUESTION)
    found = result("--tools", "Read", "--permission-mode", "dontAsk")
    holds(not found["is_error"], found)
    return str(found["result"])


@check("two turns of a session")
def turns() -> str:
    say = {"type": "user", "message": {"role": "user", "content": QUESTION}}
    there = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "256"}
    done = subprocess.run(
        [
            "claude",
            "--print",
            "--model",
            "desk-sql",
            *_SMALL,
            "--verbose",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
        ],
        check=False,
        env=os.environ | there,
        input=f"{json.dumps(say)}\n" * 2,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if _is_object(line)]
    results = [one["result"] for one in told if one["type"] == "result"]
    return holds(len(results) == 2 and results[0] == SQL, results)


@check("an unknown model")
def unknown_model() -> str:
    found = result(model=NOWHERE)
    return holds(found["is_error"] and found["api_error_status"] == 404 and NOWHERE in found["result"], found)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        found = result(key=WRONG_KEY)
        return holds(found["is_error"] and found["api_error_status"] == 401, found["result"])


run_program("@anthropic-ai/claude-code", "claude")
