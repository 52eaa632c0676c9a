"""The check finds every piece of planted dirt, at its line, and nothing else; reports hold nothing that guards find."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patchbay.tuning.data.check import DataCheck, DataChecks, NumberedRow
from patchbay.tuning.data.findings import CheckReport
from patchbay.tuning.data.guarding import TextGuards, compiled_guards
from patchbay.tuning.data.report_page import report_html
from patchbay.tuning.data.rows import row_of
from patchbay.tuning.data.texts import cut_reason, mended, oddities, unmangled
from patchbay.tuning.demo.dirty import dirty_tickets, written
from tests.unit.tuning_data.conftest import Run, pair, write_lines

Said = Callable[..., Any]


@pytest.fixture(scope="session")
def guards() -> TextGuards:
    return compiled_guards()


def checked(guards: TextGuards, *pairs: tuple[str, str], split: str = "train", **marks: Any) -> CheckReport:
    rows = [
        row_of({"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}], **marks})
        for ask, answer in pairs
    ]
    numbered = [NumberedRow(split=split, number=at, row=row) for at, row in enumerate(rows, 1)]
    return DataCheck(DataChecks(guards=guards, licence="own", consent="terms")).run(numbered)


def found(report: CheckReport) -> dict[str, list[int | None]]:
    places = defaultdict[str, list[int | None]](list)
    for one in report.findings.kept:
        if one.check != "splits":
            places[one.check].append(one.row)
    return dict(places)


def test_all_planted_dirt_is_found_at_its_line_and_little_else(said: Said, project: Path) -> None:
    made = dirty_tickets(400, seed=3)
    for name, lines in (("raw.jsonl", made.lines), ("held.jsonl", made.held_out)):
        (project / name).write_bytes(b"".join(written(lines)))
    report = said("check", "raw.jsonl", "--against", "held.jsonl", code=1)
    at = defaultdict[str, set[int]](set)
    for one in report["findings"]:
        if one["place"].startswith("train:"):
            at[one["check"]].add(int(one["place"].split(" ")[0].removeprefix("train:")))
    for kind, planted in made.truth.items():
        if kind == "near-duplicates":
            # A contradiction is nearly the same as what it contradicts.
            assert planted <= at[kind] <= planted | made.truth["contradictions"]
        else:
            assert (kind, at[kind]) == (kind, set(planted))
    assert at.keys() <= made.truth.keys()
    assert report["languages"]["en"] > 380


def test_reports_and_output_show_nothing_of_what_guards_find(run: Run, project: Path) -> None:
    secret, mail = "ghp_" + "aB3dE5gH7jK9" * 3, "ada.lovelace@example.org"
    rows = [pair(f"My mail is {mail} and my token {secret}", "  "), pair(f"{mail}?", "Yes.", id="second")]
    write_lines(project / "a.jsonl", rows)
    done = run("check", "a.jsonl", "--report", "r.html", "--report", "r.md", "--report", "r.json", code=1)
    for text in (done.output, *((project / name).read_text() for name in ("r.html", "r.md", "r.json"))):
        assert mail not in text
        assert secret not in text
    assert "[EMAIL]" in (project / "r.html").read_text()
    assert "My mail is [EMAIL] and my token [SECRET]" in (project / "r.md").read_text()


def test_the_exit_code_is_by_the_level(run: Run, project: Path) -> None:
    write_lines(project / "a.jsonl", [pair("Name a colour please", "Blue\u200b green.")])
    run("check", "a.jsonl")
    run("check", "a.jsonl", "--fail-on", "warning", code=1)
    run("check", "a.jsonl", "--fail-on", "never")
    assert "error, warning, info or never" in run("check", "a.jsonl", "--fail-on", "bad", code=2).stderr


def test_leakage_between_splits_is_found_also_where_it_is_nearly_the_same(guards: TextGuards) -> None:
    asked = "My green kettle of the brand Brisk leaks at the handle since I filled it for the second time today"
    rows = [("train", f"{asked} again"), ("train", "Something else entirely about the office chair"), ("test", asked)]
    numbered = [
        NumberedRow(
            split=split,
            number=1 + at,
            row=row_of({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": str(at)}]}),
        )
        for at, (split, text) in enumerate(rows)
    ]
    report = DataCheck(DataChecks(guards=guards)).run(numbered)
    assert found(report)["leakage"] == [1]


def test_rare_labels_and_a_single_answer_are_told(guards: TextGuards) -> None:
    mixed = [(f"question number {n}", "billing" if n else "refund") for n in range(40)]
    assert [one.message for one in checked(guards, *mixed).findings.kept if one.check == "balance"] == [
        "'refund' is 1 of 40 answers"
    ]
    alike = checked(guards, *[(f"question {n}", "yes") for n in range(9)])
    assert [one.message for one in alike.findings.kept if one.check == "balance"] == ["every answer is 'yes'"]


def test_a_row_in_another_language_than_it_says_is_told(guards: TextGuards) -> None:
    german = "Können Sie mir bitte sagen, wann meine Bestellung endlich bei mir zu Hause ankommen wird?"
    assert found(checked(guards, (german, "Morgen."), language="en")) == {"language": [1]}
    assert found(checked(guards, (german, "Morgen."), language="de")) == {}


def test_calls_of_tools_that_do_not_fit_are_told(guards: TextGuards) -> None:
    call = {"id": "1", "function": {"name": "delete", "arguments": {}}}
    turns = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "2", "content": "done"},
        {"role": "assistant", "content": "Done."},
    ]
    row = row_of({"messages": turns, "tools": [{"name": "find"}]})
    report = DataCheck(DataChecks(guards=guards)).run([NumberedRow(split="train", number=1, row=row)])
    assert [one.message for one in report.findings.kept if one.check == "schema"] == [
        "it calls 'delete', which its tools do not have",
        "a tool's result answers no call before it",
    ]


def test_a_suite_in_yaml_is_read(run: Run, project: Path) -> None:
    (project / "suite.yaml").write_text(
        "cases:\n  - prompt: Which colour has the office chair of Ghent\n    expect: blue\n"
    )
    write_lines(project / "a.jsonl", [pair("Which colour has the office chair of Ghent?", "Blue.")])
    assert "case 1 of suite.yaml" in run("check", "a.jsonl", "--against", "suite.yaml", code=1).stdout


def test_the_page_is_whole_also_where_labels_hold_what_html_and_mathematics_mean(guards: TextGuards) -> None:
    page = report_html(checked(guards, *[(f"question {n}", "<b>$x$ & $") for n in range(9)], source="a$b$"))
    assert page.count("<svg") == page.count("</svg>") == 2
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("text", "odd", "mend"),
    [
        ("plain", [], "plain"),
        ("a\u200bb", ["zero-width"], "ab"),
        ("می\u200cخور", [], "می\u200cخور"),
        ("👩\u200d💻", [], "👩\u200d💻"),
        ("cafÃ© â€œxâ€\x9d", ["mojibake"], "café “x”"),
        ("Ã is a letter", [], "Ã is a letter"),
        ("lost \ufffd", ["replacement"], "lost \ufffd"),
        ("e\u0301", ["not-nfc"], "é"),
        ("a \r\nb\x07  ", ["control"], "a\nb"),
    ],
)
def test_odd_characters_are_named_and_mended(text: str, odd: list[str], mend: str) -> None:
    assert [name for name in oddities(text) if name != "control" or "\x07" in text] == odd
    assert mended(text)[0] == mend
    assert mended(mend) == (mend, [])


def test_what_is_no_mojibake_is_left() -> None:
    for text in ("naïve café", "100 € “fine”", "Ångström Ã", "日本語"):
        assert unmangled(text) == text


@pytest.mark.parametrize(
    ("answer", "is_cut"),
    [
        ("All is well.", False),
        ('{"a": 1}', False),
        ('{"a": 1', True),
        ("```py\nx", True),
        ("```py\nx\n```", False),
        ("We sent it to", True),
        ("First, second,", True),
        ("[sic] it is.", False),
        ("yes", False),
        (":", False),
    ],
)
def test_answers_that_are_cut_are_told(answer: str, is_cut: bool) -> None:
    assert (cut_reason(answer) is not None) == is_cut


def test_the_report_as_json_is_what_programs_expect(said: Said, project: Path) -> None:
    write_lines(project / "a.jsonl", [pair("Name a colour", "Blue."), "{"])
    report = said("check", "a.jsonl", code=1)
    assert report["checks"]["schema"] == 1
    assert report["rows"] == {"train": 1}
    assert json.dumps(report["findings"][0]).count("it is no JSON") == 1


def test_a_file_without_any_row_has_a_report(said: Said, project: Path) -> None:
    write_lines(project / "a.jsonl", ["{", "[]"])
    report = said("check", "a.jsonl", "--report", "r.html", code=1)
    assert report["checks"]["schema"] == 2


def test_rows_that_are_there_again_are_told_with_the_first(guards: TextGuards) -> None:
    report = checked(guards, *[(f"Which colour has chair number {n}?", "Blue.") for n in (1, 2, 1, 3, 2, 1)])
    assert [(one.row, one.message) for one in report.findings.kept if one.check == "duplicates"] == [
        (3, "it is the same as train:1"),
        (5, "it is the same as train:2"),
        (6, "it is the same as train:1"),
    ]
