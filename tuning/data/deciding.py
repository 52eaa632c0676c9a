"""The decision whether to tune at all: prompt, retrieval or tuning, and what is missing before training, pure.

The rules are those that handbooks of tuning share: facts that are private or change belong into retrieval; a stable
task with a stable form, enough labelled examples and a measured prompt that misses its target may be tuned; everything
else is a prompt. Sources: OpenAI, "Optimizing LLM accuracy"; Hugging Face, "Fine-tuning" and "RAG" guides; Ovadia et
al., "Fine-Tuning or Retrieval?", EMNLP 2024 (arXiv 2312.05934).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from patchbay.core.settings import Settings

FEWEST_LABELS: Final = 50
# With fewer held-out cases than these a difference of ten points is noise.
FEWEST_HELD_OUT: Final = 20
Way = Literal["prompt", "retrieval", "tuning"]


class PromptBaseline(Settings):
    """The measured prompt: `score` on the held-out cases, 0 to 1, with `prompt`, the best that was written; `target`:
    the score that is needed; `cases`: on how many it was measured; `retrieval`: whether documents were given with
    it."""

    score: float = Field(ge=0, le=1)
    target: float = Field(ge=0, le=1)
    cases: int = Field(default=0, ge=0)
    prompt: str = ""
    retrieval: bool = False


class FailureKind(Settings):
    """A kind of failure of the prompt: how often it was seen, and what kind of gap it is. A `data` gap is closed by
    examples, a `policy` gap by a rule, a `model` limit by another model, an `expectation` by talking to people."""

    count: int = Field(ge=1)
    gap: Literal["data", "policy", "model", "expectation"] = "data"


class TuningCase(Settings):
    """The facts of a task before anything is tuned.

    `task`: what is to be done, in a sentence; `owner`: who answers for it; `private_facts`, `facts_change`: whether
    answers need facts that are only in own documents, and whether these change; `stable_task`, `stable_format`: whether
    the task and the form of answers stay as they are for months; `labels`: labelled examples; `data`: the data set that
    has them; `validation`: cases that are held out; `baseline`: the measured prompt; `failures`: what it got wrong, by
    kind; `prompt_tokens`: of a prompt that is too long or too dear, which tuning would save.
    """

    task: str = Field(min_length=1)
    owner: str | None = None
    private_facts: bool = False
    facts_change: bool = False
    stable_task: bool = False
    stable_format: bool = False
    labels: int = Field(default=0, ge=0)
    data: str | None = None
    validation: int = Field(default=0, ge=0)
    baseline: PromptBaseline | None = None
    failures: dict[str, FailureKind] = Field(default_factory=dict)
    prompt_tokens: int | None = Field(default=None, ge=0)
    notes: str | None = None

    @model_validator(mode="after")
    def _facts_are_private_first(self) -> Self:
        if self.facts_change and not self.private_facts:
            raise ValueError("'facts_change' says that private facts change: set 'private_facts', too")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDecision:
    """A decision. `way`: what to do now; `reasons`: why, in sentences; `missing`: what must be there before anything is
    trained, none where training may begin; `beside`: what else to do."""

    way: Way
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    beside: tuple[str, ...] = ()


def decide(case: TuningCase) -> CaseDecision:
    """Decides by the rules above. The same case gives the same decision."""
    way, reasons = _way(case)
    return CaseDecision(way=way, reasons=reasons, missing=tuple(_missing(case)), beside=tuple(_beside(case, way)))


def _way(case: TuningCase) -> tuple[Way, tuple[str, ...]]:
    if case.private_facts and case.facts_change:
        return "retrieval", ("The answers need private facts that change: what is tuned in is out of date at once.",)
    if case.private_facts and not (case.stable_task and case.stable_format):
        return "retrieval", (
            "The answers need private facts: documents given with the question can be cited and mended.",
        )
    lacking = list(_not_tunable(case))
    if lacking:
        return "prompt", tuple(lacking)
    assert case.baseline is not None  # noqa: S101 - `_not_tunable` says so otherwise
    return "tuning", (
        "Task and form are stable.",
        f"There are {case.labels} labelled examples; {FEWEST_LABELS} are the least.",
        f"The best prompt reaches {case.baseline.score:.2f} of the {case.baseline.target:.2f} that are needed.",
    )


def _not_tunable(case: TuningCase) -> Iterator[str]:
    """Yields why the case is not one for tuning yet."""
    if not case.stable_task or not case.stable_format:
        yield "The task or the form of its answers still changes: a prompt is changed in a minute."
    if case.labels < FEWEST_LABELS:
        few = f"There are {case.labels} labelled examples"
        yield f"{few}; with fewer than {FEWEST_LABELS} put the best into the prompt."
    if case.baseline is None:
        yield "No prompt has been measured, so nobody knows what tuning would have to beat."
    elif case.baseline.score >= case.baseline.target:
        yield f"The prompt reaches its target ({case.baseline.score:.2f} of {case.baseline.target:.2f})."
    gaps = {failure.gap for failure in case.failures.values()}
    if gaps and "data" not in gaps:
        yield "None of the failures is one that examples would mend."


def _missing(case: TuningCase) -> Iterator[str]:
    """Yields what must be there before training begins."""
    if case.baseline is None:
        yield "a prompt baseline: the best prompt, scored on the held-out cases"
    elif case.baseline.cases < FEWEST_HELD_OUT:
        yield f"a baseline on at least {FEWEST_HELD_OUT} cases (it was measured on {case.baseline.cases})"
    if case.validation < FEWEST_HELD_OUT:
        yield f"a validation set of at least {FEWEST_HELD_OUT} held-out cases (there are {case.validation})"
    if not case.failures:
        yield "a failure log: what the prompt gets wrong, by kind"
    if case.labels < FEWEST_LABELS:
        yield f"{FEWEST_LABELS - case.labels} more labelled examples"
    if case.data is None:
        yield "a data set (patchbay data import), checked and split"
    if case.owner is None:
        yield "an owner, who answers for the adapter"


def _beside(case: TuningCase, way: Way) -> Iterator[str]:
    gaps: dict[str, list[str]] = {}
    for name, failure in case.failures.items():
        gaps.setdefault(failure.gap, []).append(name)
    advice = {
        "policy": "write the rule down first",
        "model": "try a stronger base",
        "expectation": "agree with those who ask on what a good answer is",
    }
    for gap, said in advice.items():
        if gap in gaps:
            yield f"{', '.join(sorted(gaps[gap]))}: {said}."
    if way == "tuning" and case.private_facts:
        yield "Give the private facts by retrieval, and tune the form alone."
    if way != "tuning" and case.prompt_tokens and case.stable_task:
        yield f"Should the prompt of {case.prompt_tokens} tokens cost too much, tune it in once the rest is there."
    if way == "retrieval" and case.baseline is not None and not case.baseline.retrieval:
        yield "Measure the prompt again with documents given to it."


def card_markdown(case: TuningCase, decision: CaseDecision) -> str:
    """Writes the decision as a card in Markdown, for the release to carry."""
    baseline = case.baseline
    measured = (
        f"{baseline.score:.2f} of {baseline.target:.2f} needed, on {baseline.cases} cases"
        if baseline
        else "not measured"
    )
    facts = [
        ("owner", case.owner or "nobody yet"),
        ("labelled examples", f"{case.labels}" + (f" ({case.data})" if case.data else "")),
        ("held-out cases", case.validation),
        ("prompt baseline", measured),
        ("private facts", _yes(case.private_facts) + (", and they change" if case.facts_change else "")),
        ("stable task, stable form", f"{_yes(case.stable_task)}, {_yes(case.stable_format)}"),
    ]
    failures = [f"{name} {one.count} ({one.gap})" for name, one in case.failures.items()]
    lines = [
        f"# Decision: {decision.way}",
        "",
        case.task,
        "",
        *_listed("Why", decision.reasons),
        *_listed("Missing before training", decision.missing or ("nothing",)),
        *_listed("Beside", decision.beside),
        "## What is known",
        "",
        "| what | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts),
        f"| failures of the prompt | {', '.join(failures) or 'no log'} |",
    ]
    return "\n".join([*lines, *(["", case.notes] if case.notes else [])]) + "\n"


def case_document(case: TuningCase, decision: CaseDecision) -> dict[str, Any]:
    """Returns the decision as plain JSON, with the case that it is of."""
    return {
        "way": decision.way,
        "may_train": decision.way == "tuning" and not decision.missing,
        "reasons": list(decision.reasons),
        "missing": list(decision.missing),
        "beside": list(decision.beside),
        "case": case.model_dump(mode="json"),
    }


def _listed(title: str, entries: Sequence[str]) -> Sequence[str]:
    return [f"## {title}", "", *(f"- {entry}" for entry in entries), ""] if entries else []


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
