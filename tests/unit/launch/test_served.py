"""The models that a run says it serves: what is so once all is ready, not what was declared."""

from dataclasses import replace

import pytest

from patchbay.adapters.standing import Standing
from patchbay.core.errors import StartError
from patchbay.launch.banner import ready_text
from patchbay.launch.events import Event, ReadyReport, Serving, as_json
from patchbay.launch.served import with_standings
from patchbay.launch.supervisor import RunPlan, supervise

pytestmark = pytest.mark.anyio
_REPORT = ReadyReport("http://127.0.0.1:8080/v1", "http://127.0.0.1:8081", "base", ("sql", "bad"))
_FOUND = (
    Standing(adapter="bad", reason="bad@1 failed to load on replica-0: rank 64"),
    Standing(adapter="old", served="old@2", reason="old@3 did not become stable: no"),
    Standing(adapter="sql", served="sql@1"),
)


class _Kept:
    """A reporter that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def lines(self, process: str, lines: object) -> None:
        """Takes nothing."""

    def event(self, event: Event) -> None:
        """Keeps `event`."""
        self.events.append(event)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_adapters_that_are_not_served_are_not_among_the_models() -> None:
    report = with_standings(_REPORT, _FOUND)
    assert report.adapters == ("sql", "old")
    text = ready_text(report)
    assert "Models: base, sql, old\n" in text
    assert "Not served: bad: bad@1 failed to load on replica-0: rank 64\n" in text
    assert "Note: old: old@3 did not become stable: no\n" in text


def test_with_no_adapter_served_the_base_is_asked_in_the_example() -> None:
    text = ready_text(with_standings(_REPORT, _FOUND[:1]))
    assert 'model="base"' in text
    assert "patchbay adapters list" in text


async def test_what_is_so_is_told_as_json_too() -> None:
    kept = _Kept()

    def look(report: ReadyReport) -> ReadyReport:
        raise StartError("No adapter can be served: bad: it is bad.")

    with pytest.raises(StartError, match="it is bad"):
        await supervise(RunPlan((), _REPORT, look=look), kept, lambda report: pytest.fail("it is not ready"))
    assert kept.events == []
    told = as_json(Serving(replace(with_standings(_REPORT, _FOUND), after_s=1.0)))
    assert told["not_served"] == {"bad": "bad@1 failed to load on replica-0: rank 64"}
    assert told["adapters"] == ("sql", "old")
