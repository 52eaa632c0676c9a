"""Canaries on a terminal: whole at every width, thresholds in one column, and no more said than is so."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from patchbay.registry.canary_records import LIVE, CanaryPhase
from patchbay.router.canary.ledger import Counts
from patchbay.router.canary.plan import METRICS
from patchbay.router.canary.status import standing
from patchbay.router.cli.canary_show import _watched_by_programs
from patchbay.router.cli.canary_tables import drawn, overview, past
from tests.unit.router.test_canary_plot import judged, record


def shown(what: Any, width: int) -> list[str]:
    console = Console(width=width, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(what)
    return captured.get().splitlines()


def told(evidence: dict[str, float], phase: str = "running") -> dict[str, Any]:
    return {
        "id": 12,
        "revision": "sql@4",
        "against": "sql@3",
        "phase": phase,
        "weight": 5.0,
        "requests": {"canary": 123_456, "others": 1_234_567},
        "bad": {name: [1234, 123_456] for name in evidence},
        "evidence": evidence,
        "more": None,
        "says": "123 of 456 requests of this step",
    }


shares = st.dictionaries(st.sampled_from((*METRICS, "wins")), st.floats(0, 3), min_size=1)


@given(st.integers(60, 200), shares)
def test_bars_their_thresholds_and_counts_are_whole_and_in_one_column_at_every_width(
    width: int, evidence: dict[str, float]
) -> None:
    lines = shown(drawn(told(evidence), width), width)
    assert all(len(line.rstrip()) <= width for line in lines)
    bars = [line for line in lines if line.split(" ")[0] in evidence]
    assert len(bars) == len(evidence)
    assert len({line.index("┃") for line in bars}) == 1
    for line in bars:
        name = line.split(" ")[0]
        assert ("─" not in line) == (evidence[name] >= 1), (
            "a bar is full where its threshold is reached, and only there"
        )
        assert line.split()[-2:] == ["1234", "123456"]


@pytest.mark.parametrize("width", [60, 80, 99, 100, 120])
@pytest.mark.parametrize("phase", get_args(CanaryPhase))
def test_lists_fold_no_word_and_tell_a_phase_in_words(width: int, phase: Any) -> None:
    for what in (overview([told({"errors": 0.4}, phase)], width), past([record(phase, [])], width)):
        lines = shown(what, width)
        assert all(len(line.rstrip()) <= width for line in lines)
        text = " ".join(" ".join(lines).split())
        for words in ("sql@", phase.replace("_", " ").split()[0]):
            assert words in text
        assert "_" not in text.replace(phase.replace("_", " "), "")


@pytest.mark.parametrize("phase", get_args(CanaryPhase))
def test_only_a_canary_that_is_under_way_needs_more_requests(phase: Any) -> None:
    one = record(phase, looks := judged(Counts(share=0.01, canary=60, other=5000)))
    looks[-1].verdict["more"] = 99_810  # type: ignore[index]  # a dict as it comes from the registry
    text = " ".join(shown(drawn(standing(one, looks), 80), 80))
    assert ("about 99810 more" in text) == (phase in LIVE)


def test_a_program_that_watches_reads_a_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    states = [told({"errors": 0.1}), told({"errors": 0.0}, "promoted")]
    assert _watched_by_programs(iter(states)) == states[-1]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == states
