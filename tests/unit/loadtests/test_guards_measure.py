"""The measurement of guards: its arithmetic, the loader of its sets, and what it makes of Presidio's answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtests.guards_measure import __main__ as command
from loadtests.guards_measure import ours, peer, tables
from loadtests.guards_measure.arithmetic import ALL, FoundIn, SpanCounts, counts_of, with_score
from loadtests.guards_measure.page import NAME, for_page, written
from loadtests.guards_measure.sets import FOLDER, SetText, read_sets, set_text
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.secrets import SECRETS
from tools.injection.evaluation import Share

LANGUAGES = {"en", "de", "fr", "es", "it", "pt"}


def text(words: str, *spans: tuple[int, int, str], language: str = "en") -> SetText:
    return set_text({"text": words, "language": language, "form": "prose", "spans": spans})


def found(start: int, end: int, *kinds: str, score: float = 1.0) -> FoundIn:
    return FoundIn(start=start, end=end, kinds=frozenset(kinds), score=score)


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ([found(2, 6, "A")], SpanCounts(there=1, found=1, told=1)),
        ([found(0, 9, "A")], SpanCounts(there=1, found=1, told=1)),
        ([found(3, 5, "A")], SpanCounts(there=1, found=1, told=1)),  # all but the white space at its ends
        ([found(3, 4, "A")], SpanCounts(there=1, told=1)),
        ([found(4, 6, "A")], SpanCounts(there=1, told=1)),
        ([found(2, 4, "A"), found(4, 6, "A")], SpanCounts(there=1, told=2)),  # one of them must cover it
        ([found(6, 9, "A")], SpanCounts(there=1, told=1, false=1)),
        ([found(0, 2, "A")], SpanCounts(there=1, told=1, false=1)),
        ([found(2, 6, "A"), found(7, 8, "A")], SpanCounts(there=1, found=1, told=2, false=1)),
        ([found(2, 6, "B")], SpanCounts(there=1)),
        ([found(2, 6, "C")], SpanCounts(there=1)),  # is not compared
        ([], SpanCounts(there=1)),
    ],
)
def test_a_span_is_found_where_one_of_its_kind_covers_it_and_false_where_it_overlaps_none(
    told: list[FoundIn], counts: SpanCounts
) -> None:
    made = counts_of([text("..( )....".replace("( )", " xy "), (2, 6, "A"))], [told], frozenset("AB"))
    assert made["en", "A"] == counts


def test_a_found_span_that_overlaps_another_kind_is_not_false_and_finds_nothing() -> None:
    made = counts_of([text("0123456789", (0, 4, "A"))], [[found(2, 8, "B")]], frozenset("AB"))
    assert made["en", "B"] == SpanCounts(told=1)
    assert made["en", ALL] == SpanCounts(there=1, told=1)


def test_a_found_span_that_may_stand_for_two_kinds_finds_either_and_counts_once_in_all() -> None:
    texts = [text("0123", (0, 2, "A"), (2, 4, "B")), text("....", language="de")]
    made = counts_of(texts, [[found(0, 4, "A", "B")], [found(0, 1, "A", "B")]], frozenset("AB"))
    assert made[ALL, "A"] == SpanCounts(there=1, found=1, told=2, false=1)
    assert made[ALL, ALL] == SpanCounts(there=2, found=2, told=2, false=1)
    assert made["de", ALL] == SpanCounts(told=1, false=1)
    assert (made[ALL, ALL].recall, made[ALL, ALL].precision) == (1.0, 0.5)
    assert (made["de", "A"].recall, SpanCounts(there=1).precision) == (None, None)


def test_a_found_span_of_a_kind_that_is_not_compared_is_left_out() -> None:
    made = counts_of([text("0123456789")], [[found(0, 4, "C"), found(0, 4, "C", "A")]], frozenset("AB"))
    assert made["en", ALL] == SpanCounts(told=1, false=1)


def test_what_is_less_sure_is_left_out() -> None:
    assert with_score([[found(0, 1, "A", score=0.4), found(1, 2, "A", score=0.5)]], 0.5) == [
        [found(1, 2, "A", score=0.5)]
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.sampled_from("AB"))), st.data())
def test_counts_stay_within_each_other(spans: list[tuple[int, int, str]], data: st.DataObject) -> None:
    golds = [(start, min(10, start + size), kind) for start, size, kind in spans]
    told = data.draw(st.lists(st.builds(found, st.integers(0, 5), st.integers(6, 10), st.sampled_from("ABC"))))
    for counts in counts_of([text("x" * 10, *golds)], [told], frozenset("AB")).values():
        assert 0 <= counts.found <= counts.there
        assert 0 <= counts.false <= counts.told


def test_joints_are_taken_out_before_places_are_counted(tmp_path: Path) -> None:
    row = {"text": "key g{{+}}hp_{{HEX}}!", "language": "en", "form": "code", "spans": [[4, 24, "SECRET"]], "of": None}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n\n")
    [read] = read_sets(tmp_path)
    assert read.text == "key ghp_9f3a61c07be4d258!"
    assert read.text[read.spans[0].start : read.spans[0].end] == "ghp_9f3a61c07be4d258"
    assert (read.file, read.of) == ("a.jsonl", "")


@pytest.mark.parametrize(
    "changed",
    [
        {"spans": [[0, 99, "A"]]},
        {"spans": [[2, 2, "A"]]},
        {"spans": [[-1, 2, "A"]]},
        {"spans": [[1, 2, "A"]]},
        {"spans": [[0, 1]]},
        {"text": "a {{NO}} b"},
        {"text": None},
        {"language": ...},
    ],
)
def test_what_is_no_text_of_a_set_is_refused_with_its_line(changed: dict[str, Any], tmp_path: Path) -> None:
    row = {"text": "a b", "language": "en", "form": "prose", "spans": [], **changed}
    row = {key: value for key, value in row.items() if value is not ...}
    (tmp_path / "bad.jsonl").write_text("\n" + json.dumps(row))
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 2: "):
        read_sets(tmp_path)


def test_our_sets_are_whole() -> None:
    texts = read_sets()
    assert len(texts) > 250
    assert {one.language for one in texts} >= LANGUAGES
    assert {span.kind for one in texts for span in one.spans} <= {rule.kind for rule in (*PII, *SECRETS)}
    assert all(not one.spans for one in texts if "not" in one.file)
    assert all(one.spans for one in texts if "not" not in one.file)
    for language in LANGUAGES:
        assert sum(one.language == language and one.file.startswith("pii") for one in texts) >= 20


def test_no_secret_of_our_sets_is_written_as_it_is() -> None:
    lines = "\n".join(file.read_text() for file in FOLDER.glob("secrets*.jsonl") if "not" not in file.name)
    secrets = [one.text[span.start : span.end] for one in read_sets(pattern="secrets*.jsonl") for span in one.spans]
    assert len(secrets) > 50
    assert [secret for secret in secrets if json.dumps(secret)[1:-1] in lines] == []


def test_what_presidio_prints_is_read() -> None:
    answer = {
        "version": "1.0",
        "recognizers": 2,
        "found": [[[0, 4, "EMAIL_ADDRESS", 0.5], [5, 6, "DE_PLZ", 0.1]], [[1, 3, "DE_PLZ", 1]]],
        "seconds": [9.0, 2.0, 1.0],
        "long_seconds": [[3.0, 4.0, 9.0]],
    }
    made = peer.read_run(answer)
    assert made.found == [[found(0, 4, "EMAIL", score=0.5)], []]
    assert made.left_out == {"DE_PLZ": 2}
    assert (made.seconds, made.long_seconds) == (2.0, [4.0])


def test_tables_say_what_misses_its_target_and_what_presidio_does_not_have() -> None:
    counts = {(ALL, "A"): SpanCounts(there=10, found=10, told=10), (ALL, "B"): SpanCounts(there=10, found=8, told=9)}
    beside = tables.Beside(ours=counts, peer=counts, sure=None, known=frozenset("A"))
    made = tables.by_kind("Kinds", beside, ["B", "A"])
    assert made.rows[0] == ["A", "10", "1.000", "1.000", "met", "1.000", "1.000", "not run", ""]
    assert made.rows[1] == ["B", "10", "1.000", "0.800", "missed: recall", "has none", "", "has none", ""]
    refusals = tables.of_refusals({"en": {True: Share(taken=9, total=10), False: Share(taken=1, total=10)}})
    assert refusals.rows == [("en", "20", "0.900", "0.900", "missed: precision")]
    attacks = tables.of_injections({"benign": Share(taken=1, total=20), "direct": Share(taken=7, total=10)})
    assert [row[-1] for row in attacks.rows] == ["at least 80%: missed", "at most 5%: met"]
    assert tables.missed([made, refusals, attacks]) == ["Kinds: B", "Refusals: en", "Injections: direct"]


@pytest.mark.parametrize(("ours_s", "theirs_s", "verdict"), [(0.1, 1.0, "met"), (0.2, 1.0, "missed"), (0.1, None, "")])
def test_a_cost_is_held_against_presidios(ours_s: float, theirs_s: float | None, verdict: str) -> None:
    made = tables.of_cost({"ours: pii": [None, ours_s], "Presidio": [None, theirs_s]}, {"a": 1024, "b": 2048})
    assert made.rows[0] == ("ours: pii", "-", f"{ours_s * 5e5:.0f}", verdict)
    assert made.rows[1][-1] == ""


def test_the_page_has_the_tables_between_its_marks() -> None:
    table = tables.FigureTable(title="T", columns=("a", "b"), rows=[("x", "1")])
    page = f"before\n<!-- {NAME}: begin -->\nold\n<!-- {NAME}: end -->\nafter"
    made = written(page, for_page([table], "head", "end"))
    assert made == (
        f"before\n<!-- {NAME}: begin -->\nhead\n\n### T\n\n| a | b |\n|---|---:|\n| x | 1 |\n\nend\n"
        f"<!-- {NAME}: end -->\nafter"
    )


def test_the_command_measures_our_guards_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    few = [
        text("Mail jane@example.org", (5, 21, "EMAIL")),
        text("Key " + "ghp_" + "aB3dE6gH9jK2mN5p" * 2 + "q8Rt", (4, 44, "SECRET")),
        text("Nothing here.", language="de"),
    ]
    monkeypatch.setattr(command, "read_sets", lambda: few)
    monkeypatch.setattr(ours, "injections", lambda threshold: {"direct": Share(taken=1, total=1)})
    monkeypatch.setattr(command, "_LONG", 500)
    app = typer.Typer()
    app.command()(command.run)
    result = CliRunner().invoke(app, ["--without-presidio", "--rounds", "1", "--json"])
    assert result.exit_code == 0, result.output
    made = json.loads(result.output)
    assert [table["table"] for table in made["tables"]][:2] == ["Personal data, by kind", "Personal data, by language"]
    assert made["tables"][0]["rows"][0][:5] == ["EMAIL", "1", "1.000", "1.000", "met"]
    assert [row[0] for row in made["tables"][0]["rows"]] == ["EMAIL", "**all**"]
    assert [row[0] for row in made["tables"][3]["rows"]] == ["SECRET", "**all**"]
    assert made["end"] == "All targets are met."
    assert made["run"].endswith("Presidio did not run: it was left out.")
