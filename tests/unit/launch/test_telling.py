"""What is shown: on a terminal, in a log, as JSON, and once requests can come."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from patchbay.core.admin_token import own_token, token_path
from patchbay.launch.banner import admin_address, ready_text
from patchbay.launch.events import Ready, ReadyReport, Restarting, Serving, Starting, Stopped, exit_text
from patchbay.launch.reporters import JsonReporter, PlainReporter
from patchbay.launch.terminal import TerminalReporter

_REPORT = ReadyReport("http://127.0.0.1:8080/v1", "http://127.0.0.1:8081", "base", ("sql",), after_s=41.26)


def _terminal(stream: io.StringIO) -> TerminalReporter:
    console = Console(file=stream, force_terminal=True, width=60, color_system="standard", legacy_windows=False)
    return TerminalReporter(console, ["replica-0", "router"])


def test_plain_lines_have_the_name_before_them() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream, ["replica-0", "router"])
    reporter.lines("router", ["a", "[red]b"])
    reporter.event(Restarting("replica-0", "was ended by SIGKILL", 1.0, 2))
    assert stream.getvalue().splitlines() == [
        "router    | a",
        "router    | [red]b",
        "patchbay  | replica-0 was ended by SIGKILL (and 2 of its own processes ended); starting it again in 1 s",
    ]


def test_a_log_that_is_kept_as_json_can_be_read_line_by_line() -> None:
    stream = io.StringIO()
    record = '{"time": "2026-01-01T00:00:00.000+00:00", "level": "INFO"}'
    PlainReporter(stream, ["router"]).lines("router", [record, "not one"])
    assert stream.getvalue().splitlines() == [record, "router   | not one"]


def test_json_keeps_logs_apart() -> None:
    events, logs = io.StringIO(), io.StringIO()
    reporter = JsonReporter(events, PlainReporter(logs, ["router"]))
    reporter.lines("router", ["a"])
    reporter.event(Serving(_REPORT))
    reporter.event(Stopped("router", killed=True))
    ready, stopped = (json.loads(line) for line in events.getvalue().splitlines())
    assert ready["event"] == "ready"
    assert (ready["url"], ready["adapters"], ready["after_s"]) == (_REPORT.url, ["sql"], 41.26)
    assert stopped == {"event": "stopped", "process": "router", "killed": True}
    assert logs.getvalue() == "router   | a\n"


def test_a_terminal_keeps_long_lines_whole_and_takes_no_orders_from_logs() -> None:
    stream = io.StringIO()
    reporter = _terminal(stream)
    reporter.lines("router", ["x" * 200, "[bold]b[/] :smile:", "\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07after"])
    shown = stream.getvalue()
    assert "x" * 200 in shown
    assert "[bold]b[/] :smile:" in shown
    assert "\x1b[31mred" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]0;" not in shown


def test_the_table_ends_when_all_is_ready() -> None:
    stream = io.StringIO()
    reporter = _terminal(stream)
    for name in ("replica-0", "router"):
        reporter.event(Starting(name, 1, 1))
        reporter.event(Ready(name, 1.0))
    reporter.event(Serving(_REPORT))
    before = len(stream.getvalue())
    reporter.event(Starting("replica-0", 2, 2))
    assert "✓" in stream.getvalue()
    assert "✓" not in stream.getvalue()[before:]


def test_the_banner_can_be_copied() -> None:
    text = ready_text(_REPORT)
    assert "curl http://127.0.0.1:8080/v1/chat/completions" in text
    assert 'model="sql"' in text
    assert "API_KEY" not in text


def test_the_banner_names_a_variable_where_a_key_is_needed() -> None:
    text = ready_text(ReadyReport("http://127.0.0.1:8080/v1", "", "base", needs_key=True))
    assert '-H "Authorization: Bearer $PATCHBAY_API_KEY"' in text
    assert 'os.environ["PATCHBAY_API_KEY"]' in text
    assert 'model="base"' in text


@pytest.mark.parametrize(
    ("task", "path", "field"),
    [("embed", "embeddings", '"input": "Hello"'), ("score", "rerank", '"query": "Hello"')],
)
def test_the_banner_asks_a_base_for_what_it_does(task: str, path: str, field: str) -> None:
    text = ready_text(ReadyReport("http://127.0.0.1:8080/v1", "", "mini", task=task, pools={"ranker": "score"}))
    assert f"curl http://127.0.0.1:8080/v1/{path}" in text
    assert field in text
    assert "chat.completions" not in text
    assert "Models: mini, ranker\n" in text


def test_the_banner_has_the_tokens_address_on_a_terminal_and_elsewhere_only_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path))
    report = replace(_REPORT, own_token=True)
    token = own_token(token_path())
    shown = ready_text(report, admin=admin_address(report, terminal=True))
    assert f"http://127.0.0.1:8081/?token={token}" in shown
    kept = ready_text(report, admin=admin_address(report, terminal=False))
    assert token not in kept
    assert "patchbay admin token" in kept
    assert token not in json.dumps(Serving(report).fields())
    assert admin_address(_REPORT, terminal=True) == "http://127.0.0.1:8081"


def test_exits_in_words() -> None:
    assert exit_text(3) == "exited with code 3"
    assert exit_text(-9) == "was ended by SIGKILL"
    assert exit_text(-1000) == "was ended by signal 1000"
