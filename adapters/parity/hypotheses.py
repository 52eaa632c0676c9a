"""The hypotheses about why an adapter does not serve as it was trained, each tested by itself. Pure.

A hypothesis says what must be seen if it is true, and is named only where that is seen: in how the replica renders and
splits a row, in the base's own rows, in the adapter's settings and modules beside those that the trainer had, and in
how the two effects are related.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.parity.comparing import Comparison, Measured, apart, flat
from patchbay.adapters.parity.file import ParityFile, ParityRow

Cause = Literal["truncation", "template", "tokenizer", "merge", "base", "modules", "scale", "weights", "unknown"]
# Two scales are the same where they differ by less than this share.
_SAME_SCALE = 1e-3
# Below this correlation of effects, two adapters have nothing to do with one another. Measured on the demo's: another
# adapter's 0.1 to 0.4; a scale or modules that are wrong, 0.82 and more.
_RELATED = 0.6
# How far from 1 the ratio of the effects is where a scale explains it.
_SCALE_SEEN = 0.15
# An adapter whose effect is this share of its trained one, or less, is not applied.
_APPLIED = 0.25
# How far a merged base may be from the other with its adapter: this share of what the merge explains, and no more nats
# than this, which is what rounding anew after it costs.
_MERGED, _MOST_MERGED = 0.15, 0.3
# Beyond this mean difference, in nats, no rounding of the same weights explains it.
_ANOTHER_BASE = 0.8
_MOST_NAMED = 3
# What a template writes of the day, which is not the trainer's any more.
_DATES = re.compile(r"\d{1,4}[-/. ](?:\d{1,2}|[A-Z][a-z]{2,8})[-/. ]\d{1,4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A row as the replica makes it of its messages. `prompt`: the text, and `ids`: its tokens; `again`: the tokens of
    the trainer's text."""

    prompt: str
    ids: tuple[int, ...]
    again: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFacts:
    """The facts of the replica that serves, beside what it measured.

    `rendered`: each row as it makes it, None where it renders none; `base`, `vocabulary`, `template`: as in the parity
    file; `max_length`: of a prompt and its answer; `modules`: the adapter's, with the scales that its settings say;
    `weights`: SHA-256 of its weights' file.
    """

    rendered: Sequence[Rendered | None]
    max_length: int
    modules: Mapping[str, float]
    base: str | None = None
    vocabulary: str | None = None
    template: str | None = None
    weights: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A hypothesis that holds. `words`: what was seen, as a sentence; `hint`: what to do."""

    cause: Cause
    words: str
    hint: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence that hypotheses are tested on."""

    file: ParityFile
    replica: ServingFacts
    measured: Measured
    comparison: Comparison


def rendering_difference(file: ParityFile, replica: ServingFacts) -> Difference | None:
    """Tests what the replica makes of the rows' messages, which needs no engine: truncation, tokenizer, template.

    A difference there is one for every client, whatever the log-probabilities of the trainer's tokens are.
    """
    for number, (row, seen) in enumerate(zip(file.rows, replica.rendered, strict=True), start=1):
        if len(row.ids) > replica.max_length:
            return Difference(
                "truncation",
                f"row {number} has {len(row.ids)} tokens, and this replica takes {replica.max_length}",
                "Serve with a larger base.max_model_len, or train on shorter examples.",
            )
        if seen is not None and (found := _rendering_of(row, seen, number, file, replica)) is not None:
            return found
    return None


def _rendering_of(
    row: ParityRow, seen: Rendered, number: int, file: ParityFile, replica: ServingFacts
) -> Difference | None:
    prompt = row.ids[: row.start]
    whole = max(seen.ids, seen.again, key=len)
    if prompt not in (seen.ids, seen.again) and _is_cut(prompt, whole):
        limit = f" at {file.max_length}" if file.max_length is not None else ""
        return Difference(
            "truncation",
            f"the trainer cut the prompt of row {number} to {len(prompt)} of {len(whole)} tokens{limit}",
            "Train with a larger max_length, or leave long examples out.",
        )
    if prompt != seen.again:
        return Difference(
            "tokenizer",
            f"the tokenizer here takes the prompt of row {number} apart otherwise, from token "
            f"{_first_difference(prompt, seen.again) + 1} on{_told(file.vocabulary, replica.vocabulary, 'vocabulary')}",
            "Train with the base model's own tokenizer, and without tokens of your own.",
        )
    if _renders_otherwise(row.prompt, seen.prompt):
        at = _first_difference(row.prompt, seen.prompt)
        return Difference(
            "template",
            f"the chat template here writes row {number} otherwise: {_around(seen.prompt, at)} where the trainer had "
            f"{_around(row.prompt, at)}{_told(file.template, replica.template, 'template')}",
            "Train with the base model's own chat template, or serve with the trainer's, as base.chat_template.",
        )
    return None


def _is_cut(part: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether `part` is a beginning or an end of `whole`, and not all of it."""
    count = len(part)
    return 0 < count < len(whole) and tuple(part) in (tuple(whole[:count]), tuple(whole[-count:]))


def _renders_otherwise(trained: str, served: str) -> bool:
    """Whether two texts are of two templates, or of two ways to call one. A template that tells the date writes another
    text on another day, so dates do not count."""
    return trained != served and _DATES.sub("", trained) != _DATES.sub("", served)


def score_difference(evidence: Evidence) -> Difference:
    """Names the hypothesis that explains why the log-probabilities differ, the first of those that hold.

    The base is tested before the adapter, since nothing of an adapter can be seen over another base. Where none holds,
    the finding says so.
    """
    tests: tuple[Callable[[Evidence], Difference | None], ...] = (
        _merge,
        _base,
        _modules,
        _scale,
        _unapplied,
        _weights,
        _acts_otherwise,
    )
    found = next((finding for test in tests if (finding := test(evidence)) is not None), None)
    return found or _unknown(evidence)


def base_difference(evidence: Evidence) -> Difference | None:
    """Tests whether the base that serves is another than the trainer's: its own rows differ by more than noise."""
    return _merge(evidence) or _base(evidence)


def _merge(evidence: Evidence) -> Difference | None:
    """A merged base gives without an adapter what the other base gives with it."""
    measured, comparison = evidence.measured, evidence.comparison
    if comparison.noise <= comparison.ceiling:
        return None
    trained_plain, trained = flat(measured.trained_plain), flat(measured.trained)
    served_plain, served = flat(measured.served_plain), flat(measured.served)
    limit = min(max(_MERGED * comparison.noise, comparison.ceiling), _MOST_MERGED)
    if apart(served_plain, trained) <= limit:
        return Difference(
            "merge",
            f"the base here gives, without the adapter, what the trainer's gave with it (to {limit:.2f} nats): the "
            "adapter is merged into it already, and would count twice",
            "Serve the base that the adapter was trained over, or the merged one without the adapter.",
        )
    if apart(trained_plain, served) <= limit:
        return Difference(
            "merge",
            "the trainer's base gave, without the adapter, what the base here gives with it: the adapter was merged "
            "into the trainer's",
            "Write the rows again over the base that serves.",
        )
    return None


def _base(evidence: Evidence) -> Difference | None:
    comparison = evidence.comparison
    if comparison.noise <= comparison.ceiling:
        return None
    another = comparison.noise > _ANOTHER_BASE
    what = "another base model" if another else "the base in another precision, its weights rounded otherwise"
    return Difference(
        "base",
        f"the base's own rows, without any adapter, are {comparison.noise:.2f} nats apart from the trainer's "
        f"(up to {comparison.ceiling:.2f} is noise): this is {what}"
        f"{_told(evidence.file.base, evidence.replica.base, 'folder')}",
        "Train over the base that serves, as it serves, dequantized: patchbay tune does.",
    )


def _modules(evidence: Evidence) -> Difference | None:
    trained, here = evidence.file.modules, evidence.replica.modules
    missing = sorted(name for name in trained.keys() - here.keys() if trained[name])
    if not missing:
        return None
    return Difference(
        "modules",
        f"{len(missing)} of {len(trained)} modules that were trained have no weights here: {_kinds(missing)}",
        "Save the adapter again with all of its modules, and push that.",
    )


def _scale(evidence: Evidence) -> Difference | None:
    trained, here = evidence.file.modules, evidence.replica.modules
    other = sorted(name for name in trained.keys() & here.keys() if not _same(trained[name], here[name]))
    if not other:
        return None
    then, now = trained[other[0]], here[other[0]]
    return Difference(
        "scale",
        f"{len(other)} of {len(trained)} modules are scaled otherwise: {shown(other[0])} by {now:.4g}, trained by "
        f"{then:.4g}{f' ({now / then:.3g} times as strong)' if then else ''}",
        "Put lora_alpha, r, use_rslora and the patterns in adapter_config.json back to what was trained.",
    )


def _unapplied(evidence: Evidence) -> Difference | None:
    comparison = evidence.comparison
    if comparison.served_effect > _APPLIED * comparison.effect:
        return None
    return Difference(
        "modules",
        f"the adapter moves what the base says by {comparison.served_effect:.3f} nats here, and did by "
        f"{comparison.effect:.3f}: its modules are not applied",
        "Check that the names of its modules are the base's.",
    )


def _weights(evidence: Evidence) -> Difference | None:
    comparison = evidence.comparison
    known = evidence.file.weights is not None and evidence.replica.weights is not None
    differ = known and evidence.file.weights != evidence.replica.weights
    if comparison.correlation >= _RELATED and not differ:
        return None
    told = "; the weights' file is not the one that was scored" if differ else ""
    return Difference(
        "weights",
        f"the adapter moves other tokens than in training (correlation {comparison.correlation:.2f}): these are not "
        f"the weights that were scored{told}",
        "Push the weights that the rows were made with, or write the rows again: patchbay tune parity.",
    )


def _acts_otherwise(evidence: Evidence) -> Difference | None:
    """The engine applies another scale than the settings say, which are the trainer's."""
    ratio = evidence.comparison.ratio
    if 1 - _SCALE_SEEN <= ratio <= 1 + _SCALE_SEEN:
        return None
    return Difference(
        "scale",
        f"the adapter's effect here is {ratio:.2f} times that of training, though its settings say the same scale: the "
        "engine applies another",
        "Report it with this message; meanwhile write one lora_alpha and r in place of use_rslora and the patterns.",
    )


def _unknown(evidence: Evidence) -> Difference:
    return Difference(
        "unknown",
        "none of template, tokenizer, base precision, scale, modules, merge and truncation explains it "
        f"(correlation of the effects {evidence.comparison.correlation:.2f})",
        "Write the rows again over the base that serves: patchbay tune parity FOLDER --base BASE.",
    )


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_SAME_SCALE)


def _kinds(modules: Iterable[str]) -> str:
    """Names missing modules: by their kind or layer where they are many, else one by one."""
    names = list(modules)
    ends = sorted({name.rpartition(".")[2] for name in names})
    if len(names) <= _MOST_NAMED:
        return ", ".join(map(shown, names))
    layers = sorted({found[0] for name in names if (found := re.search(r"layers\.\d+", name))})
    if len(layers) == 1:
        return f"all of {layers[0]} ({', '.join(map(shown, ends[:8]))})"
    return f"{', '.join(map(shown, ends[:8]))} of {len(layers)} layers"


def _told(trained: str | None, here: str | None, of: str) -> str:
    """Says whether two digests agree, where both are known."""
    if trained is None or here is None:
        return ""
    return f" (the same {of}, by its digest)" if trained == here else f" (another {of}, by its digest)"


def _first_difference(one: Sequence[object], other: Sequence[object]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (first, second) in enumerate(pairs) if first != second), min(len(one), len(other)))


def _around(text: str, at: int) -> str:
    return repr(text[max(at - 10, 0) : at + 20])
