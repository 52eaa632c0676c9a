"""The Patchbay that is attacked: the demo's base and adapters, as `patchbay up` starts them, on free ports."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.attack.bystanders import Bystander
from loadtests.attack.sending import Addresses
from loadtests.overhead.targets import free_port
from loadtests.stacks import demo_models, registry_url
from patchbay.launch.subprocesses import patchbay_up

if TYPE_CHECKING:
    from patchbay.tuning.demo.build import DemoModels

BASE = "demo-base"
ADMIN_TOKEN = "attack-admin-token"  # noqa: S105 - of a server on loopback that ends with this run
# A route whose answers are held against the schema that the request gives.
FORMED = "formed"
# Whom attacks are aimed at: the base, an adapter that a bystander uses too, one that none uses, a route, nobody.
MODELS = (BASE, "sql", "json", "auto", FORMED, "nobody")


@dataclass(frozen=True, slots=True)
class Target:
    """The Patchbay under attack. `pid`: of its `patchbay up`; `base`, `adapter`: folders of its base and an adapter."""

    addresses: Addresses
    pid: int
    base: Path
    adapter: Path


@contextlib.contextmanager
def own_stack() -> Iterator[Target]:
    """A Patchbay for this attack alone; it ends with the block."""
    models = demo_models()
    with tempfile.TemporaryDirectory(prefix="patchbay-attack-") as made:
        folder = Path(made)
        sections = attacked_sections(models)
        config = {
            **sections,
            "replicas": {"count": 1, "first_port": free_port()},
            "registry": {"url": registry_url(folder), "artifacts": str(folder / "artifacts")},
        }
        with patchbay_up(config, folder) as pid:
            clients, operators = (f"http://127.0.0.1:{config['router'][port]}" for port in ("port", "admin_port"))
            yield Target(Addresses(clients, operators, ADMIN_TOKEN), pid, models.base, models.adapters["sql"])


def attacked_sections(models: "DemoModels") -> dict[str, Any]:
    """The demo's configuration with all that an attack aims at: endpoints of the tokenizer, a guard by schema."""
    from patchbay.launch.demo import demo_sections

    sections: Mapping[str, Any] = demo_sections(models)
    return {
        **sections,
        "guards": {"form": {"kind": "schema", "action": "flag"}},
        "routes": {**sections["routes"], FORMED: {"model": "json", "guards": ["form"]}},
        "router": {
            "port": free_port(),
            "admin_port": free_port(),
            "admin_token": ADMIN_TOKEN,
            "tokenizer_endpoints": True,
        },
    }


def bystanders() -> tuple[Bystander, ...]:
    """One who asks an adapter, and one who asks the base."""
    from patchbay.tuning.demo.corpus import task_examples
    from patchbay.tuning.demo.recipe import SHIPPED_SEED

    text = task_examples("sql", SHIPPED_SEED, 1, held_out=True)[0].messages[0].content
    return Bystander("sql", text), Bystander(BASE, "What is a bird house?")
