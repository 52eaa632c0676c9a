"""What the servers' file names: tiers, routes, models. Commands check by it what people type. Pure, but for reading."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from patchbay.core.errors import NotFound
from patchbay.core.names import meant
from patchbay.core.settings import load_yaml
from patchbay.core.tenancy import DEFAULT_TIER

_AUTO = "auto"


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names in `file`. `models`: of adapters and of the base, as far as it says."""

    file: Path
    tiers: frozenset[str]
    routes: frozenset[str]
    models: frozenset[str]

    @classmethod
    def read(cls, file: Path) -> Self:
        """What `file` names. What is of the wrong type names nothing: the servers refuse it. Raises ConfigError."""
        data = load_yaml(file)
        auto = {_AUTO} if data.get("auto") else set()
        return cls(
            file,
            frozenset({DEFAULT_TIER, *_keys(data, "tiers")}),
            frozenset({*_keys(data, "routes"), *auto}),
            frozenset({*_keys(data, "adapters"), *_base(data)}),
        )


def require(what: str, name: str, known: Collection[str], *, where: str, hint: str | None = None) -> None:
    """Raises NotFound where there is no `what` of that `name`, with the nearest one, or all where they are few."""
    if name in known:
        return
    raise NotFound(f"There is no {what} '{name[:80]}' {where} ({meant(name, known)}).", hint=hint)


def _keys(data: Mapping[str, Any], section: str) -> frozenset[str]:
    found = data.get(section)
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()


def _base(data: Mapping[str, Any]) -> frozenset[str]:
    """What the base of the file is called, as far as it says."""
    base = data.get("base")
    base = {"model": base} if isinstance(base, str) else base if isinstance(base, dict) else {}
    name, model = base.get("name"), base.get("model")
    return frozenset({str(name)} if name is not None else {Path(str(model)).name} if model is not None else ())
