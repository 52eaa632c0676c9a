"""Every metric that rules, dashboards, documents and the canaries' judge name is one that there is, with its labels."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.deploy import known, vllm_source
from tests.unit.deploy.files import DASHBOARDS, alerts, dashboard, rules, targets
from tests.unit.deploy.known import ROOT, TARGET, Labels
from tests.unit.deploy.promql import Read, read

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "router" / "control" / "prometheus.py"])
# Which the documents say is left out of a replica's metrics.
LEFT_OUT = "vllm:lora_requests_info"
_NAMED = re.compile(r"(?<![\w:])((?:patchbay_(?:router|server)_|vllm:)\w*[a-z])(?![\w…*])(\{[^}`]*\})?")


def recorded() -> dict[str, Labels]:
    """The labels of what the rules record: those that they sum by."""
    return {rule["record"]: read(rule["expr"]).labels for rule in rules() if "record" in rule}


def everything() -> dict[str, Labels]:
    made = {**known.exposed(), **known.engine(), **recorded(), "up": frozenset[str]()}
    return {name: labels | TARGET for name, labels in made.items()}


def wrong(asked: Read, there: Mapping[str, Labels]) -> list[str]:
    """What is asked for and is not there."""
    unknown = [name for name, _ in asked.series if name not in there]
    matched = [
        f"{name}{{{label}}}" for name, labels in asked.series if name in there for label in sorted(labels - there[name])
    ]
    some = frozenset[str]().union(*(there.get(name, frozenset()) for name in asked.names))
    return [*unknown, *matched, *(f"by {label}" for label in sorted(asked.labels - some) if asked.series)]


def test_a_metric_is_not_used_by_these_tests_so_that_nobody_knows_its_labels() -> None:
    unused = [one.name for one in (*known.router_families(), *known.server_families()) if not one.samples]
    assert not unused, "use it once in tests/unit/deploy/known.py"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_a_metric_or_a_label_that_nothing_exposes(rule: dict[str, str]) -> None:
    assert wrong(read(rule["expr"]), everything()) == []


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_a_label_that_its_expression_does_not_have(name: str) -> None:
    rule, there = alerts()[name], everything()
    asked = read(rule["expr"])
    said = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    some = frozenset[str]().union(*(there[one] for one in asked.names))
    assert said <= (asked.labels or some)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_panel_asks_for_a_metric_or_a_label_that_nothing_exposes(path: Path) -> None:
    there, found = everything(), []
    for title, expression, legend in targets(dashboard(path)):
        asked = read(expression)
        found += [f"{title}: {one}" for one in wrong(asked, there)]
        found += [f"{title}: legend {one}" for one in set(re.findall(r"{{(\w+)}}", legend)) - asked.labels]
    assert found == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_choice_at_a_dashboards_top_would_stay_empty(path: Path) -> None:
    there = everything()
    for variable in dashboard(path)["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
            asked = read(series)
            assert wrong(asked, there) == []
            assert label in there[next(iter(asked.names))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_document_names_a_metric_or_a_label_that_nothing_exposes(page: Path) -> None:
    there = known.families({**known.exposed(), **known.engine()})
    found = []
    for name, braces in _NAMED.findall(page.read_text(encoding="utf-8")):
        labels = set(re.findall(r"[a-z_]+(?==)|(?<=[{,])[a-z_]+(?=[,}])", braces.replace(" ", "")))
        if name != LEFT_OUT and (name not in there or labels - there[name] - TARGET):
            found.append(f"{name}{braces}")
    assert found == []


def test_the_list_of_vllms_metrics_is_not_what_the_installed_vllm_says() -> None:
    path = vllm_source.source()
    if path is None:
        pytest.skip("vLLM is not installed, so its list of metrics is not compared here")
    kept = (known.OBSERVABILITY / "vllm_metrics.txt").read_text(encoding="utf-8")
    assert kept == vllm_source.listed(path), "run: python -m tests.unit.deploy.vllm_source"


@pytest.mark.parametrize(
    ("expression", "faults"),
    [
        ('sum by (job) (rate(patchbay_router_answers_total{outcome="ok"}[5m]))', []),
        ('sum by (shoe) (rate(patchbay_router_answers_total{size="9"}[5m]))', ["{size}", "by shoe"]),
        ("patchbay_router_answer_total offset 6h", ["patchbay_router_answer_total"]),
        ('patchbay_router_queue_depth{job="a [5m] by (x)"} > 1e3 and on (instance) up == 0', []),
        ("histogram_quantile(0.9, sum by (le) (rate(vllm:request_queue_time_seconds_bucket[5m])))", []),
        ("sum by (le) (patchbay_router_queue_depth)", ["by le"]),
    ],
)
def test_the_reader_of_expressions_overlooks_what_is_wrong(expression: str, faults: list[str]) -> None:
    found = wrong(read(expression), everything())
    assert len(found) == len(faults)
    assert all(one.endswith(end) for one, end in zip(found, faults, strict=True))
