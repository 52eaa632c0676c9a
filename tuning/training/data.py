"""The data of a run: from what a recipe names to files, their digests, and the rows in them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from patchbay.adapters.digest import digest_of, file_hash
from patchbay.core.errors import ConfigError
from patchbay.core.names import NAME_PATTERN
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.rows import PlacedRow, held_out, read_rows

_DATA_SET: Final = re.compile(rf"{NAME_PATTERN}@\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of rows. `spec`: what the recipe names; `sha256`: of its bytes, or of the data set, 64 hex digits."""

    spec: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """All files of a run's rows."""

    train: tuple[Source, ...]
    validation: tuple[Source, ...] = ()
    general: tuple[Source, ...] = ()

    @property
    def digest(self) -> str:
        """The hash of the training data: of the one file or data set, or of all of them."""
        if len(self.train) == 1:
            return self.train[0].sha256
        return digest_of({f"{number}": one.sha256 for number, one in enumerate(self.train)})

    @property
    def all_digests(self) -> str:
        """The hash of every row that the run sees, in whichever part."""
        parts = {"train": self.train, "validation": self.validation, "general": self.general}
        return digest_of(
            {f"{part}/{number}": one.sha256 for part, all_ in parts.items() for number, one in enumerate(all_)}
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Sources":
        """Rebuilds what `dataclasses.asdict` made."""
        return cls(**{part: tuple(Source(**one) for one in document[part]) for part in document})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRows:
    """The rows of a run: to train on, to validate with, and of the general suite, each in its method's form."""

    train: list[PlacedRow]
    validation: list[PlacedRow]
    general: list[PlacedRow]


def find_sources(recipe: TrainingRecipe) -> Sources:
    """Finds and hashes the files that `recipe` names. Raises ConfigError where one does not exist."""
    parts = {"train": recipe.data.train, "validation": recipe.data.validation, "general": recipe.data.general}
    return Sources(**{part: tuple(find_source(spec, part) for spec in specs) for part, specs in parts.items()})


def find_source(spec: str, part: str = "train") -> Source:
    """Finds one file of rows: a path, or of a data set `NAME@N` the split for `part`. Raises ConfigError where it does
    not exist."""
    path = Path(spec)
    # Relative paths of a recipe were made absolute, and so was the name of a data set.
    if not path.exists() and _DATA_SET.fullmatch(path.name):
        return _data_set(path.name, part)
    if not path.is_file():
        raise ConfigError(
            f"There is no file of rows at {spec}.",
            hint="Name a JSONL file, relative to the recipe, or a data set as NAME@N.",
        )
    return Source(spec=path.name, path=str(path), sha256=file_hash(path))


def _data_set(name: str, part: str) -> Source:
    from patchbay.tuning.data.resolve import resolve

    found = resolve(name)
    return Source(spec=name, path=str(_split(name, found.splits, part)), sha256=found.digest)


def _split(name: str, splits: Mapping[str, Path], part: str) -> Path:
    """Chooses the split that `part` of a recipe means: its own, or the only one that there is."""
    wanted = ("validation", "test", "train") if part == "general" else (part,)
    chosen = next((splits[split] for split in wanted if split in splits), None)
    if chosen is None and len(splits) == 1:
        chosen = next(iter(splits.values()))
    if chosen is None:
        raise ConfigError(
            f"The data set {name} has no split called {part}: it has {', '.join(splits)}.",
            hint="Split it with `patchbay data split`, or set data.share.",
        )
    return chosen


def read_all(recipe: TrainingRecipe, sources: Sources) -> RunRows:
    """Reads every row of a run, and holds the validation's share out where the recipe gives one.

    Raises ConfigError for rows that do not fit, and where a row to validate with is one to train on, too.
    """
    train = mixed(
        [read_rows([Path(one.path)], recipe.method) for one in sources.train],
        recipe.data.weights or (1.0,) * len(sources.train),
    )
    if recipe.data.share:
        train, validation = held_out(train, recipe.data.share)
        if not train or not validation:
            raise ConfigError("data.share leaves no rows on one side.", hint="Give more rows, or another share.")
    else:
        validation = read_rows(_paths(sources.validation), recipe.method) if sources.validation else []
    general = read_rows(_paths(sources.general), "sft") if sources.general else []
    _check_leakage(train, validation)
    return RunRows(train=train, validation=validation, general=general)


def mixed(files: Sequence[list[PlacedRow]], weights: Sequence[float]) -> list[PlacedRow]:
    """Mixes the rows of several files by their weights: each whole number takes all rows once, the rest takes a share
    of them, by a hash of the row. Pure."""
    taken: list[PlacedRow] = []
    for rows, weight in zip(files, weights, strict=True):
        taken += rows * int(weight)
        taken += held_out(rows, weight % 1)[1]
    return taken


def _paths(sources: Sequence[Source]) -> list[Path]:
    return [Path(one.path) for one in sources]


def _check_leakage(train: Sequence[PlacedRow], validation: Sequence[PlacedRow]) -> None:
    """A validation row that was learned by heart says nothing. Near copies are what `patchbay data check` finds."""
    known = {_key(one): one for one in train}
    leaked = [f"{one.place} is {known[_key(one)].place}" for one in validation if _key(one) in known]
    if leaked:
        raise ConfigError(
            f"{len(leaked)} rows to validate with are rows to train on, too: {'; '.join(leaked[:5])}.",
            hint="Split the data anew: `patchbay data split`, or data.share in place of data.validation.",
        )


def _key(one: PlacedRow) -> bytes:
    return hashlib.sha256(repr(one.row).encode()).digest()
