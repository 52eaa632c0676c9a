"""The verdict on whether an adapter serves as it was trained, in words. Pure."""

from dataclasses import dataclass

from patchbay.adapters.parity.comparing import Comparison, Measured, compare
from patchbay.adapters.parity.file import ParityFile
from patchbay.adapters.parity.hypotheses import (
    Cause,
    Difference,
    Evidence,
    ServingFacts,
    base_difference,
    rendering_difference,
    score_difference,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict. `words`: what was seen, as a sentence; `cause`, `hint`: None where it passed; `comparison`: None
    where nothing had to be scored."""

    words: str
    cause: Cause | None = None
    hint: str | None = None
    comparison: Comparison | None = None

    @property
    def passed(self) -> bool:
        """Whether the adapter serves as it was trained."""
        return self.cause is None


def judge_rendering(file: ParityFile, replica: ServingFacts) -> Verdict | None:
    """Returns a refusal where the replica renders or splits the rows otherwise, None where it does not."""
    finding = rendering_difference(file, replica)
    return _refused(finding, None) if finding is not None else None


def judge(file: ParityFile, replica: ServingFacts, measured: Measured) -> Verdict:
    """Judges the log-probabilities that were `measured` twice, of some or all of the file's rows."""
    comparison = compare(measured, file.noise)
    evidence = Evidence(file, replica, measured, comparison)
    base = base_difference(evidence)
    if base is not None:
        return _refused(base, comparison)
    if not comparison.within:
        return _refused(score_difference(evidence), comparison)
    rows = len(measured.trained)
    faint = ", and the adapter does little more" if comparison.effect <= comparison.bound else ""
    return Verdict(
        f"parity: {rows} rows, {comparison.tokens} tokens, {comparison.apart:.3f} nats apart where "
        f"{comparison.bound:.3f} is noise (the base {comparison.noise:.3f}){faint}",
        comparison=comparison,
    )


def _refused(finding: Difference, comparison: Comparison | None) -> Verdict:
    measured = ""
    if comparison is not None and finding.cause not in ("base", "merge"):
        measured = f" ({comparison.apart:.2f} nats apart a token, where {comparison.bound:.2f} is noise)"
    words = f"it does not serve as it was trained{measured}: {finding.cause}: {finding.words}."
    return Verdict(words, finding.cause, finding.hint, comparison)
