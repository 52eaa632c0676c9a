"""Presidio's analyzer as a service and as a library: what is asked, and what is no answer."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.guards.config import GuardsConfig
from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.finder import FinderFailed, FoundEntity, checked
from patchbay.guards.entities.language import Languages
from patchbay.guards.entities.presidio_service import PresidioService
from patchbay.guards.entities.searches import questions_of, search_of
from patchbay.guards.part import part_of
from patchbay.guards.pipeline import compile_guards
from patchbay.router.cli.guards import app
from tests.fakes.judge import FakeJudge

pytestmark = pytest.mark.anyio


def guard(url: str, **fields: Any) -> EntitiesGuard:
    return EntitiesGuard.model_validate({"kind": "entities", "url": url, **fields})


async def test_the_service_is_asked_by_its_documented_form() -> None:
    async with FakeJudge("Jane Doe").running() as judge:
        service = PresidioService(guard(f"{judge.url}/", kinds=["PERSON", "LOCATION"], min_score=0.7))
        # A character beyond the basic plane is one of ours and two of UTF-16's.
        found = await asyncio.to_thread(service.find, "\U0001f600 Jane Doe", "en")
    assert found == [FoundEntity(2, 10, "PERSON", 0.85)]
    assert judge.asked == [
        {
            "text": "\U0001f600 Jane Doe",
            "language": "en",
            "entities": ["LOCATION", "PERSON"],
            "score_threshold": 0.7,
        }
    ]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b"[]", "It answers 500"),
        (302, b"[]", "It answers 302"),
        (200, b"{}", "no list of entities"),
        (200, b"not json", "no list of entities"),
        (200, b"\xff[]", "no list of entities"),
        (200, b'[{"entity_type":"PERSON","start":0,"end":"5","score":1}]', "no list of entities"),
        (200, b'[{"entity_type":"PERSON","start":0,"end":9,"score":1}]', "from 0 to 9 in a text of 8"),
        (200, b'[{"entity_type":"PERSON","start":-1,"end":3,"score":1}]', "from -1 to 3"),
        (200, b'[{"entity_type":"PERSON","start":3,"end":3,"score":1}]', "from 3 to 3"),
        (200, b'[{"entity_type":"PERSON","start":0,"end":3,"score":7}]', "the score 7"),
        (200, b" " * (1024 * 1024 + 1), "larger than 1048576 bytes"),
    ],
)
def test_what_is_not_in_the_format_is_no_answer(status: int, body: bytes, told: str) -> None:
    with answering(status, body) as url, pytest.raises(FinderFailed, match=told):
        PresidioService(guard(url)).find("Jane Doe", "en")


def test_a_service_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(FinderFailed, match="cannot be asked: ConnectError"):
        PresidioService(guard("http://127.0.0.1:9")).find("Jane Doe", "en")


def test_a_place_outside_of_the_text_is_refused_and_its_last_one_is_not() -> None:
    assert checked([(0, 8, "PERSON", 1.0)], "Jane Doe") == [FoundEntity(0, 8, "PERSON", 1.0)]
    with pytest.raises(FinderFailed):
        checked([(0, 9, "PERSON", 1.0)], "Jane Doe")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Gestern war ich mit Anna Schmidt in Berlin unterwegs.", "de"),
        ("Yesterday I walked through Berlin with Anna Schmidt.", "en"),
        ("Anna Schmidt", "en"),
        ("", "en"),
    ],
)
def test_a_text_is_asked_about_in_its_own_language_where_that_can_be_told(text: str, language: str) -> None:
    assert Languages(("en", "de")).of(text) == language
    assert Languages(("de",)).of(text) == "de"


PEOPLE: dict[str, Any] = {"kind": "entities", "url": "http://127.0.0.1:5002"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "entities"}, "'guards.people': say who is asked"),
        ({**PEOPLE, "in_process": {"models": {"en": "en_core_web_sm"}}}, "'guards.people': say who is asked"),
        (
            {**PEOPLE, "kinds": ["PERSONS"]},
            "'guards.people.kinds.PERSONS': Presidio knows no such kind (did you mean 'PERSON'?)",
        ),
        ({**PEOPLE, "kinds": {"PERSON": "hide"}}, "'guards.people.kinds.PERSON"),
        ({**PEOPLE, "kinds": []}, "'guards.people.kinds'"),
        ({**PEOPLE, "kinds": {"PERSON": "mask"}}, "'guards.people.kinds.PERSON': masks are put into prompts"),
        (
            {**PEOPLE, "kinds": {"PERSON": "route"}, "on": ["input"]},
            "'guards.people.kinds.PERSON': the action 'route' needs a `route`",
        ),
        (
            {**PEOPLE, "kinds": {"PERSON": "redact"}, "action": "flag"},
            "'guards.people.action': every kind has an action",
        ),
        ({**PEOPLE, "other_kinds": ["STAFF_ID"]}, "'guards.people.other_kinds.0': nothing looks for it"),
        ({**PEOPLE, "languages": ["en", "en"]}, "'guards.people.languages': a language is named twice"),
        ({**PEOPLE, "mask": {"stable": "session"}}, "'guards.people.mask': nothing is masked"),
        ({**PEOPLE, "least_score": 0.5}, "min_score"),
        (
            {"kind": "entities", "in_process": {"models": {"de": "m"}}},
            "'guards.people.languages.0': `in_process.models` has no model for it",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_write(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_settings(GuardsConfig, {"guards": {"people": fields}}, source="x.yaml")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"in_process": {"models": {"en": "en_core_web_sm"}}}, "pip install 'patchbay-serve[presidio]'"),
        ({"url": "http://127.0.0.1:5002", "languages": ["en", "qq"]}, "The languages cannot be told apart"),
    ],
)
def test_what_is_not_installed_is_told_when_guards_are_compiled(fields: dict[str, Any], told: str) -> None:
    config = parse_settings(GuardsConfig, {"guards": {"people": {"kind": "entities", **fields}}}, source="x.yaml")
    with pytest.raises(ConfigError) as refused:
        compile_guards(config, [], None, None)
    assert told in str(refused.value)


def test_kinds_have_their_own_actions_the_guard_s_or_a_tenant_s() -> None:
    fields = {
        **PEOPLE,
        "kinds": {"PERSON": "redact", "LOCATION": None, "STAFF_ID": "block"},
        "other_kinds": ["STAFF_ID"],
        "action": "flag",
        "tenants": {"t": {"action": "block"}, "dry": {"dry_run": True}},
    }
    config = parse_settings(GuardsConfig, {"guards": {"people": fields}, "guard_all": ["people"]}, source="x.yaml")
    guards = compile_guards(config, [], None, None)
    by_tenant = {}
    for tenant in ("", "t", "dry"):
        pipeline = guards.pipeline((), tenant)
        assert pipeline is not None
        [search] = pipeline.entities["output"]
        by_tenant[tenant] = (dict(search.actions), search.closed)
    assert by_tenant == {
        "": ({"PERSON": "redact", "LOCATION": "flag", "STAFF_ID": "block"}, True),
        "t": ({"PERSON": "block", "LOCATION": "block", "STAFF_ID": "block"}, True),
        "dry": ({"PERSON": "flag", "LOCATION": "flag", "STAFF_ID": "flag"}, False),
    }


@pytest.mark.parametrize("status", [200, 500])
def test_the_command_that_tries_guards_asks_too(status: int, tmp_path: Path) -> None:
    file = tmp_path / "patchbay.yaml"
    found = b'[{"entity_type":"PERSON","start":0,"end":8,"score":0.9}]'
    with answering(status, found) as url:
        file.write_text(f"guards:\n  people: {{kind: entities, url: '{url}', action: redact}}\n", "utf-8")
        result = CliRunner().invoke(app, ["test", "--text", "Jane Doe came.", "-c", str(file), "--json"])
    if status == 200:
        assert result.exit_code == 1
        assert '"kind": "PERSON"' in result.stdout
        assert '"end": 8' in result.stdout
    else:
        assert result.exit_code == 1
        assert "PERSON" not in result.stdout
        assert "The guard 'people' could not look at a text" in result.stderr


def test_in_this_process_less_is_asked_at_a_time() -> None:
    library = EntitiesGuard.model_validate({"kind": "entities", "in_process": {"models": {"en": "m"}}})
    service = guard("http://127.0.0.1:5002")
    most = []
    for config in (library, service):
        part = part_of("people", config, "")
        assert part is not None
        most += [search_of(part, config, questions_of(config), side).most for side in ("input", "output")]
    assert most == [1000, 600, 4000, 600]
