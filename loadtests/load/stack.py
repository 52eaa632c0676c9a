"""The target of load: a Patchbay that runs already, or the demo, started for the scenario."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.load.scenario import Scenario, Stack
from loadtests.loopback import check_loopback
from loadtests.overhead.targets import free_port
from loadtests.stacks import demo_models, make_adapters, registry_url
from patchbay.core.errors import ConfigError
from patchbay.core.settings import load_yaml
from patchbay.launch.subprocesses import patchbay_up

# Until routers know of new keys.
_KEYS_S = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """The Patchbay to which load goes. `keys`: of the scenario's tenants; `own`: whether it was started for this."""

    url: str
    admin_url: str
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    own: bool = False


def given_stack(scenario: Scenario, url: str, admin_url: str, keys: Path | None) -> Target:
    """One that runs already. `keys`: YAML with the key of each of the scenario's tenants.

    Raises ConfigError where it is on another machine, or where a tenant has no key.
    """
    check_loopback(url)
    check_loopback(admin_url)
    known = {name: str(key) for name, key in load_yaml(keys).items()} if keys else {}
    missing = [name for name in scenario.tenants if name not in known]
    if missing:
        raise ConfigError(
            f"There is no key of {', '.join(missing)}.",
            hint="Make the tenants (`patchbay tenants create`, `patchbay keys create`), and give --keys a YAML file.",
        )
    return Target(url, admin_url, known)


@contextlib.contextmanager
def own_stack(scenario: Scenario) -> Iterator[Target]:
    """The demo as the scenario wants it, on free ports, with its tenants and their keys; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="patchbay-load-") as made:
        folder = Path(made)
        config = stack_config(scenario.stack, folder)
        with patchbay_up(config, folder):
            url, admin_url = (f"http://127.0.0.1:{config['router'][port]}" for port in ("port", "admin_port"))
            yield Target(url, admin_url, _keys(folder, scenario), own=True)


def stack_config(stack: Stack, folder: Path) -> dict[str, Any]:
    """The configuration of the demo with what `stack` changes, with its files in `folder`."""
    from patchbay.launch.demo import demo_sections

    models = demo_models()
    config = demo_sections(models)
    if stack.clones:
        # Routes of the demo would name adapters that are not there.
        config = {"base": config["base"], "engine": config["engine"]}
        config["adapters"] = make_adapters(models.adapters["sql"], folder / "adapters", stack.clones)
    sizes = {"max_loras": stack.slots, "max_cpu_loras": stack.in_memory}
    return {
        **config,
        "lora": {key: value for key, value in sizes.items() if value is not None},
        "replicas": {"count": stack.replicas, "first_port": free_port()},
        "router": {"port": free_port(), "admin_port": free_port()},
        "registry": {"url": registry_url(folder), "artifacts": str(folder / "artifacts")},
    }


def _keys(folder: Path, scenario: Scenario) -> dict[str, str]:
    """A key of each of the scenario's tenants, which are made."""
    from patchbay.core.tenancy import Limits
    from patchbay.registry.records import Scope
    from patchbay.registry.registry import Registry

    keys: dict[str, str] = {}
    if not scenario.tenants:
        return keys
    with Registry.open(registry_url(folder)) as registry:
        for name, tenant in scenario.tenants.items():
            limits = Limits(**tenant.limits.model_dump())
            registry.accounts.create_tenant(name, tier="default", limits=limits, actor="load")
            keys[name] = registry.accounts.create_key(name, Scope(), actor="load")[0].text
    time.sleep(_KEYS_S)
    return keys
