import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.clients.known import CLIENTS, Client, chosen
from loadtests.clients.page import document, for_page, for_terminal, written
from loadtests.clients.results import Check, Result, not_run, read
from loadtests.clients.running import SCRIPTS
from patchbay.core.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = ROOT / "docs/clients.md"
GOOD = Check("chat", True, "SELECT 1;", 0.1)
BAD = Check("tools", False, "KeyError: 'a|b'", 0.2)
PASSED = Result("langchain", {"langchain-openai": "1.7.4"}, (GOOD,))
FAILED = Result("codex", {"codex": "0.171.0"}, (GOOD, BAD))
MISSING = not_run("guidellm", "it could not be installed: no torch")


def lines(*told: object) -> str:
    return "".join(json.dumps(line) + "\n" for line in told)


TOLD = lines(
    {"versions": {"openai": "3.57.0"}},
    {"check": "chat", "ok": True, "said": "SELECT 1;", "seconds": 0.1},
    {"check": "tools", "ok": False, "said": "KeyError: 'a|b'", "seconds": 0.2},
)


def test_what_checks_tell_is_read_and_what_the_client_itself_prints_is_not() -> None:
    found = read("openai-python", f"INFO starting\n[1, 2]\n{TOLD}bye\n", "", 1)
    assert (found.versions, found.checks, found.trouble) == ({"openai": "3.57.0"}, (GOOD, BAD), None)
    assert (found.verdict, found.failures) == ("failed", (BAD,))


def test_a_client_passes_where_all_its_checks_did() -> None:
    told = lines({"versions": {}}, {"check": "chat", "ok": True})
    assert read("codex", told, "", 0).verdict == "passed"


@pytest.mark.parametrize("status", [0, 1, -11])
def test_a_client_that_told_of_no_check_has_failed_and_its_last_words_say_why(status: int) -> None:
    found = read("codex", "", "ImportError: no module\n", status)
    assert found.verdict == "failed"
    assert found.trouble == f"ended with {status} after 0 checks: ImportError: no module"


def test_a_client_that_died_after_its_checks_has_failed() -> None:
    found = read("codex", lines({"check": "chat", "ok": True}), "Segmentation fault", -11)
    assert found.verdict == "failed"
    assert "-11 after 1 checks" in str(found.trouble)


def test_a_client_that_took_too_long_has_failed_with_what_it_told_until_then() -> None:
    found = read("codex", TOLD, "", None)
    assert (found.verdict, found.trouble, len(found.checks)) == ("failed", "took too long, after 2 checks", 2)


def test_a_check_that_does_not_say_that_it_passed_has_not() -> None:
    assert read("codex", lines({"check": "chat", "ok": "yes"}), "", 1).failures


def test_the_pages_table_has_versions_what_failed_and_why_something_was_not_run() -> None:
    assert for_page([PASSED, FAILED, MISSING]).splitlines() == [
        "| client | version | result | checks |",
        "|---|---|---|---|",
        "| LangChain | langchain-openai 1.7.4 | passed, 1 of 1 | chat |",
        "| Codex | codex 0.171.0 | failed, 1 of 2 | **failed: tools**; chat |",
        "| GuideLLM |  | not run | it could not be installed: no torch |",
    ]


def test_a_reason_with_a_bar_does_not_break_the_table() -> None:
    row = for_page([not_run("codex", "a | b")]).splitlines()[-1]
    assert row == "| Codex |  | not run | a \\| b |"


def test_the_table_takes_the_place_of_the_last_one_and_the_rest_of_the_page_stays() -> None:
    page = "above\n<!-- clients: begin -->\nold\n<!-- clients: end -->\nbelow\n"
    once = written(page, [PASSED])
    assert written(once, [PASSED]) == once
    assert once.startswith("above\n<!-- clients: begin -->\n| client |")
    assert once.endswith("| chat |\n<!-- clients: end -->\nbelow\n")
    with pytest.raises(ValueError, match="clients: begin"):
        written("a page without markers", [PASSED])


def test_a_terminal_shows_what_failed_and_what_was_said_letter_for_letter() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(for_terminal([FAILED, not_run("codex", "see [build]")]))
    text = console.export_text()
    assert "tools: KeyError: 'a|b'" in text
    assert "see [build]" in text


def test_json_has_the_verdict_and_what_each_check_said() -> None:
    told = document([FAILED])["clients"][0]
    assert (told["verdict"], told["checks"][1]["said"]) == ("failed", "KeyError: 'a|b'")


def test_only_names_clients_in_the_tables_order_and_an_unknown_one_is_told_the_known() -> None:
    assert [client.name for client in chosen(["codex", "langchain"])] == ["langchain", "codex"]
    assert chosen([]) == list(CLIENTS)
    with pytest.raises(ConfigError, match="langchian") as told:
        chosen(["langchian"])
    assert "langchain" in str(told.value.hint)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_has_its_lock_its_checks_and_a_place_on_the_page(client: Client) -> None:
    folder = ROOT / SCRIPTS / client.name
    assert (folder / "requirements.txt").exists() or (folder / "package-lock.json").exists()
    assert (folder / "check.py").exists() or (folder / "check.mjs").exists()
    assert f"\n### {client.title}\n" in PAGE.read_text()


def test_the_page_has_its_markers_and_no_client_that_is_not_run() -> None:
    page = PAGE.read_text()
    assert written(page, [PASSED]) != page
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) == {client.title for client in CLIENTS}


@pytest.mark.parametrize("lock", sorted((ROOT / SCRIPTS).glob("*/requirements.txt")), ids=lambda lock: lock.parent.name)
def test_every_package_of_a_lock_is_pinned(lock: Path) -> None:
    named = [line for line in lock.read_text().splitlines() if line and not line.startswith(("#", " "))]
    assert named
    assert all(re.match(r"[\w.\[\],-]+==\d", line) for line in named)
