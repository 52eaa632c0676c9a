"""The names in the servers' configuration: tiers, routes, models. Commands check people's input by them. Pure, but for
reading."""

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
    """The names in `file`. `tiers`, `routes`: by these keys; `models`: names of adapters and of the base, as far as the
    file has them; `adapters`: of those alone."""

    file: Path
    tiers: frozenset[str]
    routes: frozenset[str]
    models: frozenset[str]
    adapters: frozenset[str]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads the names in `file`. Values of a wrong type are skipped, since the servers refuse them. Raises
        ConfigError."""
        data = load_yaml(file)
        auto = {_AUTO} if data.get("auto") else set()
        return cls(
            file,
            frozenset({DEFAULT_TIER, *_keys(data, "tiers")}),
            frozenset({*_keys(data, "routes"), *auto}),
            frozenset({*_keys(data, "adapters"), *_base(data)}),
            _keys(data, "adapters"),
        )


def require(what: str, name: str, known: Collection[str], *, where: str, hint: str | None = None) -> None:
    """Raises NotFound where `name` is not `known`, with the nearest name, or all where they are few.

    `what`: its kind, such as `route`; `where`: the place that was searched, such as `in patchbay.yaml`; `hint`: what to
    do.
    """
    if name in known:
        return
    raise NotFound(f"There is no {what} '{name[:80]}' {where} ({meant(name, known)}).", hint=hint)


def _keys(data: Mapping[str, Any], section: str) -> frozenset[str]:
    found = data.get(section)
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()


def _base(data: Mapping[str, Any]) -> frozenset[str]:
    """Returns the name of the file's base, none where it does not say."""
    base = data.get("base")
    base = {"model": base} if isinstance(base, str) else base if isinstance(base, dict) else {}
    name, model = base.get("name"), base.get("model")
    return frozenset({str(name)} if name is not None else {Path(str(model)).name} if model is not None else ())
