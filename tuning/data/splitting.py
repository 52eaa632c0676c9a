"""The splitting of rows into train, validation and test, stable while a data set grows.

A row goes where a keyed hash of its group says: of its mark `group`, else of what it asks. Rows that ask nearly the
same go with the first of them. A row that an earlier revision has placed stays where it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from patchbay.core.errors import ConfigError
from patchbay.tuning.data.near import MOST_NEAR, SIMILAR, folded, leaders, shingles, without_common
from patchbay.tuning.data.rows import Row
from patchbay.tuning.data.store import SPLITS

if TYPE_CHECKING:
    from patchbay.tuning.data.near import Shingles

DEFAULT_SHARES: Final[Mapping[str, float]] = MappingProxyType({"train": 0.8, "validation": 0.1, "test": 0.1})
# A group that begins so is itself the key of another row's group: of a row that was made from that one.
SAME_AS: Final = "="
_NOWHERE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """The way in which rows are split. `shares`: of each split, summing to 1; `seed`: another one splits otherwise;
    `near`: the similarity from which questions go together, 0 to 1, None to look only at groups; `before`: where an
    earlier revision has placed rows, by the key of their group."""

    shares: Mapping[str, float] = field(default_factory=lambda: DEFAULT_SHARES)
    seed: int = 0
    near: float | None = SIMILAR
    before: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)


def parse_shares(text: str) -> Mapping[str, float]:
    """Reads shares as `80/10/10`, of train, validation and test. Raises ConfigError."""
    try:
        numbers = [float(part) for part in text.replace(",", "/").split("/")]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= len(SPLITS) or any(number < 0 for number in numbers) or sum(numbers) <= 0:
        raise ConfigError(f"'{text}' are no shares.", hint="Write train, validation and test as 80/10/10.")
    return {name: number / sum(numbers) for name, number in zip(SPLITS, numbers, strict=False)}


def group_key(row: Row) -> str:
    """Returns the key of a row's group, a hash in hex: of its mark `group`, else of the words that it asks."""
    named = row.marks.group
    if named is not None and named.startswith(SAME_AS):
        return named.removeprefix(SAME_AS)
    said = f"group:{named}" if named is not None else f"asked:{folded(row.asked)}"
    return blake2b(said.encode(), digest_size=16).hexdigest()


def split_by_hash(key: str, plan: SplitPlan) -> str:
    """Says which split a group goes to, by its key alone."""
    digest = blake2b(f"{plan.seed}:{key}".encode(), digest_size=8).digest()
    at = int.from_bytes(digest) / 2**64
    for name, share in plan.shares.items():
        at -= share
        if at < 0:
            return name
    return next(name for name in reversed(tuple(plan.shares)) if plan.shares[name] > 0)


def split_rows(rows: Iterable[Row], plan: SplitPlan) -> list[str]:
    """Says for each row which split it goes to. Near ones are looked for among the first `MOST_NEAR`."""
    keys: list[str] = []
    asked: list[Shingles] = []
    for row in rows:
        keys.append(group_key(row))
        if plan.near is not None and len(asked) < MOST_NEAR:
            asked.append(shingles(row.asked))
    return place_groups(keys, _together(keys, asked, plan), plan)


def place_groups(keys: Sequence[str], leader: Sequence[int], plan: SplitPlan) -> list[str]:
    """Places groups. `leader`: for each row the number of the row that it goes with, itself or an earlier one.

    A group stays where `plan.before` has it; a new one goes with its leader, and the leader by its hash.
    """
    placed: dict[str, str] = {key: plan.before[key] for key in keys if key in plan.before}
    for key, first in zip(keys, leader, strict=True):
        if key not in placed:
            near = keys[first]
            placed[key] = placed.get(near) or placed.setdefault(near, split_by_hash(near, plan))
    return [placed[key] for key in keys]


def _together(keys: Sequence[str], asked: "Sequence[Shingles]", plan: SplitPlan) -> Sequence[int]:
    """Returns the leader of each row. Rows that were placed before come first, so that new ones go with them."""
    if plan.near is None:
        return range(len(keys))
    order = sorted(range(len(asked)), key=lambda at: keys[at] not in plan.before)
    sets = without_common(asked)
    found = leaders([sets[at] for at in order], plan.near)
    by_row = list(range(len(keys)))
    for place, first in enumerate(found):
        by_row[order[place]] = order[first]
    return by_row
