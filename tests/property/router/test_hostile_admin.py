"""Bodies that are wrong where nobody looks first, on everything that the admin port takes: refused in words, never a
fault of the router, and nothing of them in its log."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.odd_json import NESTED, ODD, post
from tests.fakes.routers import threaded_router

# What no log may say.
SECRET = b"do-not-log-me"
SAMPLES = {"string": b'"sql"', "integer": b"1", "number": b"0.5", "boolean": b"true", "object": b"{}", "array": b"[]"}
# To end the router is what that one is for.
LEFT_OUT = ("/admin/v1/drain",)
# Bodies that are no JSON object at all.
NO_OBJECT = ("a list", "true", "a text", "null", "NaN", "bad UTF-8", "5000 digits", "deeper", "half a pair", "nothing")


class Lines(logging.Handler):
    """What was logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said += self.format(record) + "\n"


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    folder: Path = tmp_path_factory.mktemp("admin")
    registry = {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": {"url": str(folder / "artifacts")}}
    fake = FakeEngine(revisions=(revision("sql"),))
    with threaded_router(fake, registry=registry, routes={"plain": {"model": "sql"}}) as made:
        yield made
        assert "patchbay_router_faults_total{" not in made.metrics.render().decode()


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    made = Lines()
    logging.getLogger().addHandler(made)
    yield made
    logging.getLogger().removeHandler(made)


@pytest.fixture(scope="module")
def taken(router: Router) -> dict[str, dict[str, bytes]]:
    """The fields of each path that takes JSON, with a value that is right by its type."""
    document = httpx.get(f"{router.admin_url}/admin/v1/openapi.json").json()
    found: dict[str, dict[str, bytes]] = {}
    for path, methods in document["paths"].items():
        body = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or path in LEFT_OUT:
            continue
        name = body["schema"].get("$ref", "").rpartition("/")[2]
        fields = document["components"]["schemas"][name]["properties"] if name else {}
        filled = re.sub(r"{(\w+)}", lambda part: "sql" if part[1] in ("name", "adapter") else "1", path)
        found[filled] = {field: SAMPLES.get(_type(one), b'"sql"') for field, one in fields.items()}
    assert len(found) > 6
    return found


def _type(field: dict[str, Any]) -> str:
    """What a field of a document's schema holds."""
    given: str = field.get("type") or next((one["type"] for one in field.get("anyOf", ()) if "type" in one), "string")
    return given


def check(router: Router, lines: Lines, path: str, body: bytes) -> int:
    lines.said = ""
    status, answer = post(router.admin_url, path, body)
    assert status < 500, (path, status, answer[:300], body[:300])
    if status >= 300:
        error = json.loads(answer)["error"]
        assert error["message"], (path, answer)
        assert SECRET.decode() not in lines.said
        assert "Traceback" not in lines.said
    return status


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_body_is_a_fault_of_the_admin_port(
    router: Router, lines: Lines, taken: dict[str, dict[str, bytes]], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(taken)))
    fields = dict(taken[path])
    for name in data.draw(st.lists(st.sampled_from([*sorted(fields), "unread"]), min_size=1, max_size=3, unique=True)):
        fields[name] = data.draw(st.sampled_from(NESTED)).replace(b"%b", ODD[data.draw(st.sampled_from(sorted(ODD)))])
    body = b", ".join(b"%b: %b" % (json.dumps(name).encode(), value) for name, value in fields.items())
    if data.draw(st.booleans()):
        body += b', "secret": "' + SECRET + b'"'
    check(router, lines, path, b"{" + body + b"}")


@pytest.mark.parametrize("odd", NO_OBJECT)
def test_a_body_that_is_no_object_is_taken_or_is_said_to_be_another_path(
    router: Router, lines: Lines, taken: dict[str, dict[str, bytes]], odd: str
) -> None:
    for path in taken:
        assert check(router, lines, path, ODD[odd]) in (400, 422), path


def test_a_name_that_no_text_can_hold_is_a_fault_of_the_admin_port(
    router: Router, lines: Lines, taken: dict[str, dict[str, bytes]]
) -> None:
    for path in taken:
        assert check(router, lines, path, rb'{"\ud800": 1, "\udfff": "' + SECRET + rb'"}') == 400
