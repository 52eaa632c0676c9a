"""The report of `patchbay guards test`: what was found in each file, for people on a terminal or as lines of JSON."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, Protocol

from patchbay.adapters.commands.output import table
from patchbay.guards.looking import Looked, PlacedSpan, TextPart
from patchbay.router.cli.guard_texts import GivenFile, GivenText

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

Shows = Literal["text", "lines", "places"]
# A longer line is printed in parts of this many characters.
_ROW: Final = 4000
# Characters of a line that are shown before and after what was found in it, where lines without it are not.
_AROUND: Final = 80
_COLOURS: Final = ("red", "green", "yellow", "blue", "magenta", "cyan")
_PROGRESS_AFTER_S: Final = 2.0
# A text must not speak to the terminal: its control characters become pictures of them.
_PICTURES: Final = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"},
    0x0D: None,
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleKey:
    """The key that a report counts by."""

    kind: str
    rule: str
    guard: str
    action: str


@dataclass(slots=True, kw_only=True)
class Totals:
    """The counts of a report. `found`: by rule; `in_files`: the number of files that each was found in; `skipped`: the
    files that were not read, each with the reason."""

    files: int = 0
    texts: int = 0
    broken_lines: int = 0
    with_findings: int = 0
    found: Counter[RuleKey] = field(default_factory=Counter)
    in_files: Counter[RuleKey] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)


class Report(Protocol):
    """Tells what is found, as it is found."""

    def begin(self, file: GivenFile) -> None:
        """Begins a file."""

    def take(self, text: GivenText, looked: Looked) -> None:
        """Takes what is settled of one of its texts."""

    def end_text(self) -> None:
        """Ends a text."""

    def end(self, found: Counter[RuleKey]) -> None:
        """Ends the file. `found`: the counts of it."""

    def finish(self, totals: Totals) -> None:
        """Ends the report."""


def key_of(one: PlacedSpan) -> RuleKey:
    """Returns the key that a span is counted by."""
    span = one.span
    return RuleKey(kind=span.kind, rule=span.rule, guard=span.guard, action=span.action)


class JsonReport:
    """A report for programs: a line of JSON for each span, and one with the counts at the end. No text is in it."""

    def __init__(self) -> None:
        self._file = ""

    def begin(self, file: GivenFile) -> None:
        """Begins a file; see `Report`."""
        self._file = file.name

    def take(self, text: GivenText, looked: Looked) -> None:
        """Prints the spans; see `Report`."""
        for one in looked.found:
            span = one.span
            _print_line(
                {
                    "file": self._file,
                    **_place_of(text, one),
                    "guard": span.guard,
                    "rule": span.rule,
                    "kind": span.kind,
                    "action": span.action,
                    "start": span.start,
                    "end": span.end,
                }
            )

    def end_text(self) -> None:
        """Does nothing; see `Report`."""

    def end(self, found: Counter[RuleKey]) -> None:
        """Does nothing; see `Report`."""

    def finish(self, totals: Totals) -> None:
        """Prints the counts; see `Report`."""
        kinds = Counter[str]()
        for key, count in totals.found.items():
            kinds[key.kind] += count
        _print_line(
            {
                "files": totals.files,
                "texts": totals.texts,
                "found": totals.found.total(),
                "files_with_findings": totals.with_findings,
                "kinds": kinds,
                "broken_lines": totals.broken_lines,
                "skipped": [{"file": name, "reason": reason} for name, reason in totals.skipped],
            }
        )


class PeoplesReport:
    """A report for people: each file with its text, and a table at the end.

    `shows`: the whole text, the lines in which something was found, or their places alone; `only_found`: whether files
    without findings are left out.
    """

    def __init__(self, console: "Console", shows: Shows, *, only_found: bool) -> None:
        self._console = console
        self._shows = shows
        self._only_found = only_found
        self._styles: dict[str, str] = {}
        self._file = ""
        self._headed = False
        self._rows: _Rows | None = None

    def begin(self, file: GivenFile) -> None:
        """Begins a file; see `Report`."""
        self._file, self._headed = file.name, False
        if not self._only_found:
            self._head()

    def take(self, text: GivenText, looked: Looked) -> None:
        """Shows what was found; see `Report`."""
        for one in looked.found:
            self._style_of(one.span.rule)
        if self._shows == "places":
            for one in looked.found:
                self._show_place(text, one)
            return
        if self._rows is None:
            self._rows = _Rows(text, whole=self._shows == "text")
        for part in looked.parts:
            for row in self._rows.add(part, "" if part.span is None else self._style_of(part.span.rule)):
                self._print_row(row)

    def end_text(self) -> None:
        """Shows the rest of a text; see `Report`."""
        if self._rows is not None:
            for row in self._rows.finish():
                self._print_row(row)
        self._rows = None

    def end(self, found: Counter[RuleKey]) -> None:
        """Shows the counts of the file; see `Report`."""
        if found or not self._only_found:
            self._head()
            kinds = Counter[str]()
            for key, count in found.items():
                kinds[key.kind] += count
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            self._print(f"  {found.total()} found: {counts}" if found else "  nothing found", "dim")

    def finish(self, totals: Totals) -> None:
        """Shows the table; see `Report`."""
        from rich.markup import escape

        for name, reason in totals.skipped:
            self._print(f"skipped: {name} ({reason})", "yellow")
        rows = [
            (
                f"[{self._style_of(key.rule)}]{escape(key.rule)}[/]",
                key.kind,
                key.guard,
                key.action,
                count,
                totals.in_files[key],
            )
            for key, count in totals.found.most_common()
        ]
        names = ("rule", "kind", "guard", "action", "found", "files")
        if rows:
            self._console.print(table("Found", names, rows))
        self._console.print(_summary(totals), markup=False)

    def _head(self) -> None:
        if not self._headed:
            self._print(self._file, "bold")
        self._headed = True

    def _show_place(self, text: GivenText, one: PlacedSpan) -> None:
        self._head()
        place = _place_of(text, one)
        at = ", ".join(str(part) for part in (place.get("field"), f"column {place['column']}") if part)
        row = _plain(f"  line {place['line']}, {at}: ", "dim")
        row.append(one.span.kind, self._style_of(one.span.rule))
        row.append(f" by {one.span.rule} ({one.span.guard}: {one.span.action})")
        self._console.print(row, soft_wrap=True)

    def _print_row(self, row: "Text") -> None:
        self._head()
        self._console.print(row, soft_wrap=True)

    def _print(self, words: str, style: str) -> None:
        self._console.print(_plain(words, style), soft_wrap=True)

    def _style_of(self, rule: str) -> str:
        return self._styles.setdefault(rule, f"bold {_COLOURS[len(self._styles) % len(_COLOURS)]}")


class _Rows:
    """The rows of one text: its lines with their numbers, what was found in brackets, with its kind.

    `whole`: whether every line is shown; otherwise those with findings are, cut to what is around these.
    """

    def __init__(self, text: GivenText, *, whole: bool) -> None:
        self._whole = whole
        self._line = text.line
        self._counts = not text.place
        self._label = f" {text.place}" if text.place else ""
        self._row = self._new_row()
        self._before = ""
        self._cut = False
        self._after = 0
        self._has_text = False
        self._span: object = None

    def add(self, part: TextPart, style: str) -> Iterator["Text"]:
        """Takes the next stretch, and yields the rows that are whole. `style`: that of its span."""
        if self._span is not None and part.span != self._span:
            self._close()
        for number, piece in enumerate(part.text.translate(_PICTURES).split("\n")):
            if number:
                yield from self._end_of_line()
            if part.span is not None:
                self._found(piece, part, style)
            else:
                self._between(piece)
            while len(self._row) > _ROW:
                head = self._row[:_ROW]
                self._row = self._row[_ROW:]
                yield head

    def finish(self) -> Iterator["Text"]:
        """Yields the last row, where the text does not end with its line."""
        if self._span is not None:
            self._close()
        if self._has_text:
            yield from self._end_of_line()

    def _found(self, piece: str, part: TextPart, style: str) -> None:
        if self._span is None and part.span is not None:
            self._row.append(("…" if self._cut else "") + self._before)
            self._row.append(f"[{part.span.kind}: ", style)
        self._before, self._cut, self._after = "", False, _AROUND
        self._span, self._style, self._has_text = part.span, style, True
        self._row.append(piece, f"{style} reverse" if piece else "")

    def _between(self, piece: str) -> None:
        if self._whole:
            self._row.append(piece)
            self._has_text = self._has_text or bool(piece)
            return
        self._row.append(piece[: self._after])
        self._before, left = self._before + piece[self._after :], self._after - len(piece)
        self._after = max(0, left)
        if len(self._before) > _AROUND:
            self._before, self._cut = self._before[-_AROUND:], True

    def _close(self) -> None:
        self._row.append("]", self._style)
        self._span = None

    def _end_of_line(self) -> Iterator["Text"]:
        if self._whole or self._has_text:
            if self._has_text and not self._whole and (self._before or self._cut):
                self._row.append("…")
            yield self._row
        self._line += 1 if self._counts else 0
        self._row, self._before, self._cut, self._after = self._new_row(), "", False, 0
        # A span goes on over the line's end.
        self._has_text = self._span is not None

    def _new_row(self) -> "Text":
        return _plain(f"{self._line:>6}{self._label}  ", "dim")


class LateProgress:
    """Shows how far a long reading is, from two seconds on, where the console is a terminal. `total`: in bytes;
    `seconds`: returns the time."""

    def __init__(self, console: "Console", total: int, seconds: Callable[[], float] = monotonic) -> None:
        self._console = console
        self._total = total
        self._seconds = seconds
        self._begun = seconds()
        self._done = 0
        self._bar: Progress | None = None

    def tell(self, done: int) -> None:
        """Says that `done` more bytes were read."""
        self._done += done
        if self._bar is None and self._console.is_terminal and self._seconds() - self._begun > _PROGRESS_AFTER_S:
            from rich.progress import Progress

            self._bar = Progress(console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task("reading", total=self._total)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def stop(self) -> None:
        """Takes it away."""
        if self._bar is not None:
            self._bar.stop()


def _print_line(value: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _place_of(text: GivenText, one: PlacedSpan) -> dict[str, str | int]:
    if text.place:
        return {"line": text.line, "field": text.place, "column": one.span.start + 1}
    return {"line": text.line + one.line - 1, "column": one.column}


def _plain(words: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text().append(words.translate(_PICTURES), style)


def _summary(totals: Totals) -> str:
    parts: Sequence[str] = [
        f"{totals.files} file{'s' * (totals.files != 1)} read, {len(totals.skipped)} skipped",
        f"{totals.found.total()} found in {totals.with_findings}",
        *([f"{totals.broken_lines} lines that are no object of JSON, read as text"] if totals.broken_lines else []),
    ]
    return "; ".join(parts)
