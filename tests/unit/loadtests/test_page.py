import json
import re
from pathlib import Path

from loadtests.load.compare import table
from loadtests.load.driving import Driven
from loadtests.load.figures import figures
from loadtests.load.page import html, write
from loadtests.load.records import Planned, Record
from loadtests.load.running import Ran
from loadtests.load.scenario import Scenario
from loadtests.load.verdict import judge

THEIRS = dict.fromkeys(("completed", "failed", "request_throughput", "output_throughput"), 1.0) | {
    f"{kind}_{what}_ms": 2.0 for kind in ("mean", "median", "p99") for what in ("ttft", "tpot")
}


def ran(count: int = 20, name: str = "a <b>") -> Ran:
    scenario = Scenario.model_validate(
        {
            "name": name,
            "seconds": 10,
            "warm_s": 1,
            "arrivals": {"per_second": 2},
            "requests": {"models": ["sql"]},
            "slo": {"ttft_p95_s": 1},
        }
    )
    planned = tuple(Planned(n, n / 2, "<script>", "", {"stream": True}) for n in range(count))
    records = tuple(
        Record(n, n / 2, n / 2 + 0.1, n / 2 + 0.5, 4, "answered", 200)
        if n % 5
        else Record(n, n / 2, None, n / 2 + 0.1, 0, "failed", 500, "500 <x>")
        for n in range(count)
    )
    found = figures(scenario, planned, records)
    judged = judge(scenario, found)
    return Ran(scenario, planned, Driven(records, count, 0), found, judged, None, {"cores": "2"}, "2026", 10.0)


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = html(ran())
    assert page.count("<svg") == 6
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert not re.findall(r"<(?:script|link|iframe|img)", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)


def test_names_are_text_in_the_page_and_not_its_code() -> None:
    page = html(ran())
    assert "a &lt;b&gt;" in page
    assert "<script>" not in page
    assert "500 <x>" not in page


def test_a_run_without_any_request_has_a_page() -> None:
    assert "targets missed" in html(ran(0))


def test_the_json_beside_the_page_has_every_request_and_all_that_the_page_says(tmp_path: Path) -> None:
    done = ran()
    page = write(done, tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert page.read_text().startswith("<!doctype html>")
    assert len(told["requests"]) == 20
    assert told["requests"][3]["due_s"] == 1.5
    assert told["figures"]["counted"]["failed"] == done.figures.counted.failed
    assert (told["met"], told["verdict"][0]["met"]) == (True, True)


def test_the_comparison_says_for_each_figure_from_when_it_is_counted() -> None:
    rows = table([THEIRS, THEIRS], [ran().figures])
    theirs, sent, due = rows["time to first token, median, ms"]
    assert theirs == 2
    assert sent is not None
    assert due is not None
    assert "vLLM" in html(ran(), rows)
