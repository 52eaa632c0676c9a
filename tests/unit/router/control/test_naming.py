"""What a snapshot says of names, and for how long."""

from dataclasses import replace
from datetime import timedelta

from patchbay.router.control.naming import expiries_of
from patchbay.router.telemetry.metrics import Metrics
from tests.unit.router.control.build import START, snapshot, view

GAUGE = "patchbay_router_adapter_expiry_seconds"


def test_an_expiry_is_told_of_what_channels_mean_and_of_nothing_that_nobody_serves() -> None:
    one = view("sql", 2, canary=3)
    until = {2: START, 3: START + timedelta(days=1), 4: START}
    briefs = {number: replace(brief, expires=until.get(number)) for number, brief in one.revisions.items()}
    ends = expiries_of(snapshot(replace(one, revisions=briefs), view("other", 1)))
    assert ends == {("sql", "sql@2"): START.timestamp(), ("sql", "sql@3"): START.timestamp() + 86400}


def test_the_expiry_of_a_revision_that_was_replaced_does_not_go_on_being_told() -> None:
    metrics = Metrics()
    metrics.registry.expiries({("sql", "sql@1"): 100.0})
    metrics.registry.expiries({("sql", "sql@2"): 200.0})
    told = [line for line in metrics.render().decode().splitlines() if line.startswith(GAUGE)]
    assert told == [GAUGE + '{adapter="sql",revision="sql@2"} 200.0']
