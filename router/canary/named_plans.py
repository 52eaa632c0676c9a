"""Lookup of plans, by name or by file."""

from pathlib import Path

from patchbay.core.errors import ConfigError
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.router.canary.plan import PlanConfig, ready_plans


def named_plan(name: str) -> PlanConfig:
    """Returns the ready plan called `name`, or the plan in the file of that name. Raises ConfigError."""
    ready = ready_plans()
    if name in ready:
        return ready[name]
    if Path(name).exists():
        return parse_settings(PlanConfig, load_yaml(Path(name)), source=name, file=Path(name))
    raise ConfigError(f"There is no plan '{name}' (ready: {', '.join(ready)}), and no such file.")
