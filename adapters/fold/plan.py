"""The plan of a fold: for each parameter of the new base, which of the old one it is made of and what changes it. Pure,
but for comparing what was saved whole with the base's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from patchbay.adapters.checks.safetensors import Tensor
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.fold.checkpoint import BaseCheckpoint, Parameter
from patchbay.adapters.fold.trained import LowRank, Trained, TrainedRows
from patchbay.core.errors import AdapterError

HEAD = "lm_head.weight"
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
# vLLM 0.32 computes these models' answers from the embedding, and passes over a head that a checkpoint has. A test
# holds this to the installed one.
HEADLESS = frozenset(
    {"CohereForCausalLM", "Cohere2ForCausalLM", "Cohere2MoeForCausalLM", "Gemma2ForCausalLM", "Gemma3nForCausalLM"}
)
_HINT = "Check that the adapter was trained for this base model, or name the right one: --base FOLDER."
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeightChange:
    """The change of one parameter, in this order: replaced whole, rows replaced, a LoRA or DoRA, a sum with a shift."""

    whole: Tensor | None = None
    rows: TrainedRows | None = None
    low_rank: LowRank | None = None
    shift: tuple[Tensor, float] | None = None


@dataclass(frozen=True, slots=True)
class PlannedParameter:
    """A parameter of the new base: `name`; `source`: the old one that it is made of; `change`: None where none is."""

    name: str
    source: Parameter
    shape: Shape
    change: WeightChange | None = None


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """All parameters of the new base, in the order of the old one's files.

    `untied`: whether the head no longer shares the embedding's weights; `rows`: the new size of the vocabulary, None
    where it stays.
    """

    parameters: tuple[PlannedParameter, ...]
    untied: bool = False
    rows: int | None = None

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the parameters that change."""
        return tuple(one.name for one in self.parameters if one.change is not None)


def plan_fold(trained: Trained, base: BaseCheckpoint) -> FoldPlan:
    """Plans the fold of what was `trained` into `base`. Raises AdapterError where it does not fit."""
    changes = _changes(trained, base)
    embedding, tied = _embedding(base), HEAD not in base.parameters
    if tied and embedding is not None:
        changes, untied = _apart(changes, embedding, keep=trained.keep_tied)
        _check_head(base, untied=untied)
    else:
        untied = False
    planned = []
    for name, parameter in base.parameters.items():
        planned.append(_planned(name, parameter, changes.get(name), trained, base))
        if untied and name == embedding:
            planned.append(_planned(HEAD, parameter, changes.get(HEAD), trained, base))
    return FoldPlan(tuple(planned), untied, _vocabulary(planned, base, embedding))


def _changes(trained: Trained, base: BaseCheckpoint) -> dict[str, WeightChange]:
    """Sorts what was trained by the base's parameters."""
    changes: dict[str, WeightChange] = {}
    for parameter, tensor in trained.whole.items():
        name = _found(parameter, trained, base)
        changes[name] = replace(changes.get(name, WeightChange()), whole=tensor)
    for module, rows in trained.rows.items():
        name = _found(f"{module}.weight", trained, base)
        changes[name] = replace(changes.get(name, WeightChange()), rows=rows)
    for module, low_rank in trained.low_rank.items():
        name = _found(f"{module}.weight", trained, base)
        changes[name] = replace(changes.get(name, WeightChange()), low_rank=low_rank)
    for module, shift in trained.shifts.items():
        name = _found(f"{module}.bias", trained, base)
        changes[name] = replace(changes.get(name, WeightChange()), shift=shift)
    return changes


def _found(parameter: str, trained: Trained, base: BaseCheckpoint) -> str:
    """Finds the base's own name of `parameter`, of which its module may be called otherwise there."""
    module, _, kind = parameter.rpartition(".")
    own = base.layout.find(module)
    name = f"{own}.{kind}"
    if own is not None and (name in base.parameters or name == HEAD):
        return name
    raise AdapterError(
        f"{trained.file} has weights for {shown(parameter)}, which the base model in {base.folder} has not.",
        hint=_HINT,
    )


def _embedding(base: BaseCheckpoint) -> str | None:
    return next((name for name in base.parameters if name.endswith(_EMBEDDINGS)), None)


def _apart(changes: Mapping[str, WeightChange], embedding: str, *, keep: bool) -> tuple[dict[str, WeightChange], bool]:
    """Says what changes where the head shares the embedding's weights, and whether it has to get its own.

    Training changes the one or the other, as PEFT keeps them apart, but for single rows, which it changes in both.
    """
    of_both = dict(changes)
    head = of_both.pop(HEAD, None)
    if keep or (head is None and _is_of_rows(changes.get(embedding))):
        if head is not None:
            of_both.setdefault(embedding, head)
        return of_both, False
    untied = head is not None or embedding in of_both
    return ({**of_both, HEAD: head} if head is not None else of_both), untied


def _check_head(base: BaseCheckpoint, *, untied: bool) -> None:
    """Raises AdapterError where the head would get weights of its own, and vLLM would pass over them."""
    found = HEADLESS.intersection(base.config.get("architectures") or ())
    if untied and found:
        raise AdapterError(
            "The adapter changes the embedding or the head alone, and vLLM knows no "
            f"{min(found)} in which they differ.",
            hint="Train it with PEFT's ensure_weight_tying=True, or without these two.",
        )


def _is_of_rows(change: WeightChange | None) -> bool:
    return change is None or replace(change, rows=None) == WeightChange()


def _planned(
    name: str, source: Parameter, change: WeightChange | None, trained: Trained, base: BaseCheckpoint
) -> PlannedParameter:
    shape = shape_of(source, base)
    if change is None:
        return PlannedParameter(name, source, shape)
    if change.whole is not None:
        shape = _whole_shape(name, shape, change.whole, trained)
    if change.low_rank is not None:
        _check_sizes(change.low_rank, shape, trained)
    if change.rows is not None and (
        change.rows.values.shape != (len(change.rows.ids), *shape[1:]) or max(change.rows.ids, default=0) >= shape[0]
    ):
        raise AdapterError(f"{trained.file}: the rows that were trained do not fit {shown(name)}.", hint=_HINT)
    if change.shift is not None and change.shift[0].shape != shape:
        raise AdapterError(f"{trained.file}: the bias of {shown(name)} has another size than the base's.", hint=_HINT)
    return PlannedParameter(name, source, shape, change)


def shape_of(parameter: Parameter, base: BaseCheckpoint) -> Shape:
    """Returns the shape of a parameter of `base` once it is unpacked. Raises AdapterError where that is not known."""
    if not parameter.packed:
        return parameter.plain.shape
    shape = base.layout.modules.get(parameter.name.removesuffix(".weight"))
    if shape is None:
        raise AdapterError(f"{parameter.file}: the shape of {shown(parameter.name)} is not known.")
    return shape


def _whole_shape(name: str, shape: Shape, whole: Tensor, trained: Trained) -> Shape:
    """Returns the shape of a parameter that is replaced: only an embedding, or a head, may have other rows."""
    rows_may_differ = name == HEAD or name.endswith(_EMBEDDINGS)
    if whole.shape == shape or (rows_may_differ and len(whole.shape) == 2 and whole.shape[1:] == shape[1:]):
        return whole.shape
    raise AdapterError(
        f"{trained.file}: the tensor {shown(whole.name)} has the shape {list(whole.shape)}, expected {list(shape)}.",
        hint=_HINT,
    )


def _check_sizes(low_rank: LowRank, shape: Shape, trained: Trained) -> None:
    pair = low_rank.pair
    if len(shape) != 2:
        raise AdapterError(f"{trained.file}: {shown(pair.module)} is no matrix in the base model.", hint=_HINT)
    outputs, inputs = reversed(shape) if pair.embedding or trained.transposed else shape
    rank = pair.a.shape[0]
    if pair.a.shape != (rank, inputs) or pair.b.shape != (outputs, rank):
        raise AdapterError(
            f"{trained.file}: the LoRA of {shown(pair.module)} has the shapes {list(pair.b.shape)} and "
            f"{list(pair.a.shape)}, but the base model's takes {inputs} and gives {outputs}.",
            hint=_HINT,
        )


def _vocabulary(planned: list[PlannedParameter], base: BaseCheckpoint, embedding: str | None) -> int | None:
    """Returns the number of rows that the vocabulary has now, None where it is as before. Raises AdapterError where the
    embedding and the head differ in it."""
    rows = {one.name: one.shape[0] for one in planned if one.name in (embedding, HEAD)}
    if embedding is None or len(set(rows.values())) > 1:
        if embedding is not None:
            told = " and ".join(f"{count} rows in {name}" for name, count in rows.items())
            raise AdapterError(
                f"The vocabulary would have {told}.", hint="Save the adapter with save_embedding_layers=True."
            )
        return None
    before = shape_of(base.parameters[embedding], base)[0]
    return rows[embedding] if rows[embedding] != before else None
