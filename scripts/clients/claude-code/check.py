"""Claude Code on the demo: it is driven from outside, as a script drives it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from checks import KEY, KEYED, LABEL, NOWHERE, SHIPPED, URL, WRONG_KEY, check, holds, run_program, same

_TIME_LIMIT_S = 90
_PRINT = ("claude", "--print", "--bare", "--no-session-persistence", "--verbose", "--output-format", "stream-json")
# The demo's model holds 2,048 tokens: its own long prompt would not fit.
_SMALL = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "256", "CLAUDE_CODE_MAX_RETRIES": "0", "CLAUDE_CODE_ATTRIBUTION_HEADER": "0"}


def claude(*options: str, said: str = SHIPPED, key: str = KEY, model: str = "desk-label") -> list[dict[str, Any]]:
    """The events that it prints for what is said to it."""
    command = [*_PRINT, "--model", model, "--system-prompt", "Label the ticket.", *options]
    done = subprocess.run(
        command,
        check=False,
        env=os.environ | _SMALL | {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_KEY": key},
        input=said,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    holds(results(events), f"no result, but: {done.stdout[-150:]} {done.stderr[-150:]}")
    return events


def results(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results among these events: one a prompt."""
    return [event for event in events if event["type"] == "result"]


def answered(events: list[dict[str, Any]]) -> list[str]:
    """What it answered to each prompt. Raises AssertionError where one of them is an error."""
    found = results(events)
    holds(not any(result["is_error"] for result in found), [result["result"] for result in found])
    return [result["result"] for result in found]


def failed(events: list[dict[str, Any]], status: int, *words: str) -> str:
    """The error that its user reads. Raises AssertionError where there is none of this status."""
    result = results(events)[-1]
    said = f"{result.get('api_error_status')}: {result['result']}"
    return holds(result["is_error"] and said.startswith(str(status)) and all(word in said for word in words), said)


@check("one prompt")
def prompt() -> str:
    return same(answered(claude("--tools", "")), [LABEL])


@check("its tools offered")
def tools() -> str:
    return same(answered(claude("--tools", "Bash,Edit,Read")), [LABEL])


@check("a stream's parts and usage")
def stream() -> str:
    events = claude("--tools", "", "--include-partial-messages")
    told = [event["event"] for event in events if event["type"] == "stream_event"]
    parts = [one["delta"]["text"] for one in told if one.get("delta", {}).get("type") == "text_delta"]
    usage = results(events)[0]["usage"]
    holds(usage["input_tokens"] > 1 and usage["output_tokens"] > 1, usage)
    return f"{same(''.join(parts), LABEL)} ({len(parts)} parts)"


@check("two turns of a session")
def turns() -> str:
    turn = json.dumps({"type": "user", "message": {"role": "user", "content": SHIPPED}}) + "\n"
    said = answered(claude("--tools", "", "--input-format", "stream-json", said=turn * 2))
    return holds(len(said) == 2 and said[0] == LABEL, said)


@check("a file in its prompt")
def file() -> str:
    Path("notes.txt").write_text("Labels are single words.")
    return holds(*[answered(claude("--tools", "Read", said=f"@notes.txt {SHIPPED}"))] * 2)


@check("an unknown model")
def unknown_model() -> str:
    return failed(claude(model=NOWHERE), 404)


if KEYED:

    @check("a wrong key")
    def wrong_key() -> str:
        return failed(claude(key=WRONG_KEY), 401)


run_program("@anthropic-ai/claude-code", "claude")
