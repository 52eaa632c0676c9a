"""The command `patchbay demo canary`, which tries a bad revision and a good one under traffic.

The bad one is caught and rolled back, the good one is promoted, while callers go on.
"""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.adapters.publish import Publisher
    from patchbay.launch.demo_traffic import Traffic
    from patchbay.registry.registry import Registry
    from patchbay.tuning.demo.build import DemoModels

ADAPTER = "label"
_CALLERS = 8
_MAX_CANARY_S = 120.0
_POLL_S = 0.3
_OPTIONS = ("--port", "--admin-port", "--first-port")


def demo_canary(
    *,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port for clients.")] = 8180,
    admin_port: Annotated[int, typer.Option("--admin-port", min=1, max=65535, help="The port for operators.")] = 8181,
    first_port: Annotated[int, typer.Option("--first-port", min=1, max=65535, help="The replica's port.")] = 9101,
    out: Annotated[Path, typer.Option("--out", help="The folder for the two reports.")] = Path("canary-demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")] = False,
) -> None:
    """Tries two revisions of `label` on the demo: one that was trained on wrong labels, and one that is as good as the
    first. Callers vote down wrong answers. It serves the demo a second time, on its own ports and with its own data
    directory, which takes 4 GB of memory and about two minutes, also beside a running demo.

    Example: patchbay demo canary --out canary-demo
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.core.distribution import check_engine

    check_engine()
    try:
        with tempfile.TemporaryDirectory(prefix="patchbay-canary-") as folder:
            screen = _Screen(as_json=as_json)
            summaries = _Demo(Path(folder), (port, admin_port, first_port), out, screen).run()
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json(summaries)
    if [summary["outcome"] for summary in summaries] != ["rolled_back", "promoted"]:
        raise typer.Exit(1)


class _Screen:
    """The terminal's output: standard error where standard output is for JSON."""

    def __init__(self, *, as_json: bool) -> None:
        from rich.console import Console

        self.console = Console(stderr=as_json, highlight=False)

    def print_line(self, text: str) -> None:
        """Prints a line."""
        self.console.print(text)


class _Demo:
    """One run of the demo.

    `folder`: a temporary folder for its files; `ports`: the public one, the admin's and the replica's; `out`: the
    folder for the reports.
    """

    def __init__(self, folder: Path, ports: tuple[int, int, int], out: Path, screen: _Screen) -> None:
        self._folder = folder
        self._ports = ports
        self._out = out
        self._screen = screen

    def run(self) -> list[dict[str, Any]]:
        """Serves the demo, tries both revisions, and returns the summaries of their canaries."""
        from patchbay.adapters.artifacts.store import ArtifactStore
        from patchbay.adapters.config import RegistryConfig
        from patchbay.adapters.publish import Publisher
        from patchbay.launch.demo import demo_models
        from patchbay.launch.ports import PortUse, check_ports
        from patchbay.launch.subprocesses import patchbay_up
        from patchbay.registry.registry import Registry

        check_ports(PortUse("127.0.0.1", port, name) for port, name in zip(self._ports, _OPTIONS, strict=True))
        began_s = time.monotonic()
        url = f"http://127.0.0.1:{self._ports[0]}"
        models = demo_models(quiet=True)
        settings = RegistryConfig.model_validate(self._registry())
        with contextlib.ExitStack() as opened:
            with self._screen.console.status("starting a replica with vLLM, and a router…"):
                opened.enter_context(patchbay_up(self._config(models), self._folder))
            self._screen.print_line(
                f"[bold]The demo serves[/bold] after {time.monotonic() - began_s:.0f} s; now for callers."
            )
            with Registry.open(settings.url.get_secret_value()) as registry:
                store = ArtifactStore.open(settings.artifacts)
                publisher = Publisher(registry, store, settings, max_rank=16)
                summaries = asyncio.run(self._try_revisions(url, registry, publisher, models))
        self._screen.print_line(f"\nDone after {time.monotonic() - began_s:.0f} s. The reports: {self._out}")
        return summaries

    async def _try_revisions(
        self, url: str, registry: "Registry", publisher: "Publisher", models: "DemoModels"
    ) -> list[dict[str, Any]]:
        from patchbay.launch.demo_traffic import Traffic
        from patchbay.tuning.demo.corpus import task_examples
        from patchbay.tuning.demo.recipe import SHIPPED_SEED

        examples = task_examples(ADAPTER, SHIPPED_SEED, 500, held_out=True)
        good = same_in_other_bytes(models.adapters[ADAPTER], self._folder / "as-good")
        summaries = []
        async with Traffic(url, examples, ADAPTER).running(_CALLERS) as traffic:
            for source, description in (
                (models.adapters["label-bad"], "trained on wrong labels"),
                (good, "as good as stable"),
            ):
                summaries.append(await self._try_one(registry, publisher, source, description))
                self._print_counts(traffic)
        return summaries

    async def _try_one(
        self, registry: "Registry", publisher: "Publisher", source: Path, description: str
    ) -> dict[str, Any]:
        from patchbay.adapters.publish import PushRequest
        from patchbay.registry.canary_records import CanaryDraft
        from patchbay.router.canary.incident import TOLD_LOOKS, summary
        from patchbay.router.canary.report_files import write_incident

        pushed = await asyncio.to_thread(publisher.push, PushRequest(ADAPTER, str(source)), actor="demo")
        plan = _plan().model_dump(mode="json")
        draft = CanaryDraft(adapter=ADAPTER, number=pushed.revision.number, plan=plan, actor="demo")
        record = await asyncio.to_thread(registry.canaries.start, draft)
        self._screen.print_line(f"\n[bold]patchbay canary start {record.name}[/bold]   ({description})")
        await self._watch(registry, record.id)
        self._screen.print_line("")
        ended, looks = registry.canaries.get(record.id), registry.canaries.thinned(record.id, TOLD_LOOKS)
        write_incident(self._out, ended, looks)
        return summary(ended, looks)

    async def _watch(self, registry: "Registry", canary: int) -> None:
        from rich.live import Live

        from patchbay.router.canary.status import standing
        from patchbay.router.cli.canary_tables import drawn

        end_s = time.monotonic() + _MAX_CANARY_S
        with Live(console=self._screen.console, refresh_per_second=4) as live:
            while time.monotonic() < end_s:
                record = await asyncio.to_thread(registry.canaries.get, canary)
                looks = await asyncio.to_thread(registry.canaries.judged, canary)
                status = standing(record, tuple(looks.values()))
                live.update(drawn(status, self._screen.console.width))
                if not record.live:
                    return
                await asyncio.sleep(_POLL_S)
        raise PatchbayError(f"The canary is still {status['phase']} after {_MAX_CANARY_S:g} s: {status['says']}.")

    def _print_counts(self, traffic: "Traffic") -> None:
        for revision in sorted({revision for revision, _ in traffic.count}):
            results = ("right", "wrong", "failed")
            counts = ", ".join(f"{traffic.count[revision, result]} {result}" for result in results)
            self._screen.print_line(f"  callers of {revision}: {counts}")

    def _registry(self) -> dict[str, Any]:
        url = f"sqlite:///{self._folder / 'registry.db'}"
        return {"url": url, "artifacts": {"url": str(self._folder / "artifacts")}}

    def _config(self, models: "DemoModels") -> dict[str, Any]:
        from patchbay.launch.demo import demo_sections

        sections = demo_sections(models)
        port, admin_port, first_port = self._ports
        return {
            "base": sections["base"],
            "engine": sections["engine"],
            "adapters": {ADAPTER: str(models.adapters[ADAPTER])},
            "lora": {"max_loras": 3, "max_cpu_loras": 4},
            "replicas": {"first_port": first_port},
            "router": {"port": port, "admin_port": admin_port},
            "registry": self._registry(),
        }


def _plan() -> Any:
    from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig

    metric = MetricConfig(tolerated=1.5, most=0.2, margin=2.5, few=0.08)
    return PlanConfig(
        steps=(StepConfig(weight=20, hold_s=3, samples=20), StepConfig(weight=50, hold_s=3, samples=20)),
        metrics={"errors": metric, "empty": metric, "votes": metric},
    )


def same_in_other_bytes(source: Path, folder: Path) -> Path:
    """Writes the adapter `source` to the new `folder` with A doubled and B halved, which is exact in floating point.

    It answers the same, and is another revision. Returns `folder`.
    """
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    (folder / "adapter_config.json").write_bytes((source / "adapter_config.json").read_bytes())
    weights = load_file(source / "adapter_model.safetensors")
    scaled = {name: (matrix * (2.0 if ".lora_A." in name else 0.5)).contiguous() for name, matrix in weights.items()}
    save_file(scaled, folder / "adapter_model.safetensors")
    return folder
