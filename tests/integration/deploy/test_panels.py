"""A real Prometheus, which has scraped every metric, is asked for what each panel shows."""

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.fakes.prometheus import NO_PROMETHEUS, has_prometheus, running_prometheus
from tests.fakes.routers import free_port
from tests.unit.deploy import known
from tests.unit.deploy.files import DASHBOARDS, dashboard, rules, targets

pytestmark = pytest.mark.skipif(not has_prometheus(), reason=NO_PROMETHEUS)


class Everything(BaseHTTPRequestHandler):
    """Every metric that there is, used once."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(known.exposition().encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Says nothing."""


@pytest.fixture(scope="module")
def prometheus() -> Iterator[httpx.Client]:
    """Prometheus, which has scraped two targets twice."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Everything)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = [f"http://{host}:{server.server_port}" for host in ("127.0.0.1", "localhost")]
    try:
        with running_prometheus(free_port(), urls) as url, httpx.Client(base_url=url) as http:
            end_s = time.monotonic() + 30
            while len(answer(http, "count_over_time(up[1m]) > 2")) < 2:
                assert time.monotonic() < end_s, "it has not scraped what it should"
                time.sleep(0.1)
            yield http
    finally:
        server.shutdown()
        server.server_close()


def answer(http: httpx.Client, expression: str) -> list[object]:
    """The series that `expression` gives now. Fails with Prometheus' own words where it gives an error."""
    said = http.get("/api/v1/query", params={"query": expression}).json()
    assert said["status"] == "success", f"{said.get('error')}: {expression}"
    result: list[object] = said["data"]["result"]
    return result


def plain(expression: str) -> str:
    """An expression as Grafana sends it, with what the rules record in its place."""
    for rule in rules():
        if "record" in rule:
            expression = expression.replace(rule["record"], f"({rule['expr']})")
    return re.sub(r"\$\w+", ".*", re.sub(r"\$__(?:rate_interval|range)", "1m", expression))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_panel_stays_empty_though_its_metrics_are_there(path: Path, prometheus: httpx.Client) -> None:
    asked = [(title, plain(expression)) for title, expression, _ in targets(dashboard(path))]
    empty, end_s = asked, time.monotonic() + 20
    # A scrape that a busy machine has missed hides its series for a moment.
    while empty and time.monotonic() < end_s:
        empty = [(title, expression) for title, expression in empty if not answer(prometheus, expression)]
    assert [title for title, _ in empty] == []


def test_a_rule_cannot_be_evaluated_where_there_are_several_routers(prometheus: httpx.Client) -> None:
    found = {rule.get("record", ""): answer(prometheus, plain(rule["expr"])) for rule in rules()}
    assert all(found[name] for name in found if name)
