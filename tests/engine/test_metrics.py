"""A real engine has the metrics that the dashboards show."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.engine.conftest import Stack
from tests.unit.deploy import known
from tests.unit.deploy.files import DASHBOARDS, dashboard, targets
from tests.unit.deploy.promql import read

pytestmark = pytest.mark.engine


def test_a_panel_shows_a_metric_that_a_real_replica_does_not_have(stack: Stack) -> None:
    with stack.replica() as replica:
        text = replica.get("/metrics").raise_for_status().text
    there = {sample.name: set(sample.labels) for one in text_string_to_metric_families(text) for sample in one.samples}
    shown = {
        name for path in DASHBOARDS for _, expression, _ in targets(dashboard(path)) for name in read(expression).names
    }
    wanted = {name: known.engine()[name] for name in shown if name.startswith("vllm:")}
    assert wanted
    assert {name: there.get(name) for name in wanted} == {name: set(labels) for name, labels in wanted.items()}
