"""The report of a check as Markdown, for a pull request, a card or a terminal."""

from collections.abc import Iterator, Mapping

from patchbay.tuning.data.findings import CHECKS, LEVELS, CheckReport, quantiles


def report_markdown(report: CheckReport) -> str:
    """Writes the report as Markdown. No text in it holds what guards found."""
    return "\n".join(_lines(report)) + "\n"


def verdict(report: CheckReport) -> str:
    """Says in one sentence what a check found."""
    counts = {level: report.findings.of_level(level) for level in LEVELS}
    said = ", ".join(
        f"{count} {level}{'s' * (count != 1 and level != 'info')}" for level, count in counts.items() if count
    )
    rows = f"{report.facts.all_rows} rows"
    return f"{rows}: {said}." if said else f"{rows}: nothing was found."


def _lines(report: CheckReport) -> Iterator[str]:
    findings = report.findings
    yield f"# Data report: {report.facts.name}"
    yield ""
    yield verdict(report)
    yield ""
    yield from _figures(report)
    yield ""
    yield "| check | level | findings | looks for |"
    yield "|---|---|---:|---|"
    for check, meaning in CHECKS.items():
        for level in LEVELS:
            if count := findings.counts[check, level]:
                yield f"| {check} | {level} | {count} | {meaning} |"
    yield from _worst(report)


def _figures(report: CheckReport) -> Iterator[str]:
    facts = report.facts
    splits = ", ".join(f"{name} {count}" for name, count in facts.rows.items())
    yield f"- digest: `{facts.digest or 'not imported'}`"
    yield f"- kind: {facts.kind}; rows: {splits}"
    for name, values in (("characters", facts.characters), ("tokens", facts.tokens)):
        if values:
            yield f"- {name} of a row: {', '.join(f'{key} {value}' for key, value in quantiles(values).items())}"
    if facts.max_tokens:
        yield f"- the base takes {facts.max_tokens} tokens"
    for name, counts in (("languages", facts.languages), ("sources", facts.sources), ("found", facts.found_kinds)):
        if counts:
            yield f"- {name}: {_counted(counts)}"
    if facts.near_rows < facts.all_rows:
        yield f"- near duplicates were looked for among the first {facts.near_rows} rows"


def _worst(report: CheckReport) -> Iterator[str]:
    for number, (_, found) in enumerate(report.findings.worst_rows()):
        if number == 0:
            yield from ("", "## Rows with the most findings", "")
        said = "; ".join(sorted({f"{one.check}: {one.message}" for one in found}))
        yield f"- **{found[0].place}** {said}"
        if shown := next((one.excerpt for one in found if one.excerpt), ""):
            yield f"  > {shown}"


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])[:12]
    return ", ".join(f"{name} {count}" for name, count in ordered)
