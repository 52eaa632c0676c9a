"""Our guards on the sets of texts: what the sets of rules find, what that costs, and refusals and injections."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.guards_measure.arithmetic import FoundIn
from loadtests.guards_measure.sets import SetText
from patchbay.guards.config import GuardsConfig, RulesGuard
from patchbay.guards.injection.classifier import InjectionClassifier
from patchbay.guards.looking import TextLook
from patchbay.guards.pipeline import Pipeline, compile_guards
from patchbay.guards.refusal import is_refusal
from patchbay.router.settings.policy import user_cache
from tools.injection.evaluation import Share

_ROOT: Final = Path(__file__).parents[2]
REFUSALS: Final = _ROOT / "tests" / "unit" / "router" / "guards" / "refusals.jsonl"
CASES: Final = _ROOT / "tests" / "redteam" / "cases"
SETS: Final = ("pii", "secrets")


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRun:
    """The run of our guards. `found`: by text, in their order; `seconds`: of CPU, the median of the rounds, for all
    texts one after the other; `long_seconds`: the same for each long text; `rules`: how many they look for."""

    found: Sequence[Sequence[FoundIn]]
    seconds: float
    long_seconds: Sequence[float]
    rules: int


def run(texts: Sequence[SetText], long: Sequence[str], rounds: int) -> OurRun:
    """Has the sets of rules `pii` and `secrets` look at texts, and at long ones."""
    pipeline = _pipeline()
    found: list[list[FoundIn]] = []
    times = list[float]()
    for _ in range(rounds):
        begun = time.process_time()
        found = [spans_in(pipeline, text.text) for text in texts]
        times.append(time.process_time() - begun)
    rules = pipeline.rules["output"]
    return OurRun(
        found=found,
        seconds=median(times),
        long_seconds=[_seconds(lambda text: spans_in(pipeline, text), text, rounds) for text in long],
        rules=0 if rules is None else len(rules.rules),
    )


def spans_in(pipeline: Pipeline, text: str) -> list[FoundIn]:
    """Returns what a pipeline finds in a text."""
    look = TextLook(pipeline.watches("output", None, escaped=False))
    placed = [*look.feed(text).found, *look.finish().found]
    return [FoundIn(start=one.span.start, end=one.span.end, kinds=frozenset([one.span.kind])) for one in placed]


def _pipeline() -> Pipeline:
    guards = GuardsConfig(guards={name: RulesGuard(kind="rules", sets=(name,)) for name in SETS})
    pipeline = compile_guards(guards, [], user_cache(), None).pipeline(SETS, "")
    assert pipeline is not None, "two guards were named"  # noqa: S101
    return pipeline


def refusals() -> Mapping[str, Mapping[bool, Share]]:
    """Returns, by language and by whether a text refuses, how many texts of our set are taken for refusals."""
    counted: dict[str, dict[bool, Share]] = {}
    for row in _rows(REFUSALS):
        for language in (row["language"], "all"):
            of_language = counted.setdefault(language, {})
            before = of_language.get(row["refuses"], Share(taken=0, total=0))
            taken = before.taken + is_refusal(row["text"])
            of_language[row["refuses"]] = Share(taken=taken, total=before.total + 1)
    return counted


def injections(threshold: float) -> Mapping[str, Share]:
    """Returns, by family, how many cases of `tests/redteam` are taken for attacks."""
    judge = InjectionClassifier().judge
    counted: dict[str, Share] = {}
    for file in sorted(CASES.glob("*.jsonl")):
        for row in _rows(file):
            before = counted.get(row["family"], Share(taken=0, total=0))
            taken = before.taken + (judge(row["text"]).score >= threshold)
            counted[row["family"]] = Share(taken=taken, total=before.total + 1)
    return counted


def injection_costs(long: Sequence[str], rounds: int) -> list[float]:
    """Returns the seconds that scoring each long text takes, the median of the rounds."""
    judge = InjectionClassifier().judge
    return [_seconds(judge, text, rounds) for text in long]


def _seconds(look: Callable[[str], object], text: str, rounds: int) -> float:
    places = [time.process_time()]
    for _ in range(rounds):
        look(text)
        places.append(time.process_time())
    return median(after - before for before, after in pairwise(places))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").split("\n"):
        if line:
            yield json.loads(line)
