"""The command `patchbay canary`: its sub-commands, and the simulation of plans."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.session import AsJson
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail
from patchbay.router.cli import canary_decide, canary_show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from patchbay.router.canary.plan import PlanConfig
    from patchbay.router.canary.simulate import Incident, Outcome, SimulatedWorld

# Late enough for a baseline to be known, and early enough that a plan has steps left.
_INCIDENT_AT_S = 60.0
app = typer.Typer(no_args_is_help=True, add_completion=False, help="Try revisions on a small share of callers.")
app.command()(canary_decide.start)
app.command()(canary_show.status)
app.command()(canary_show.watch)
app.command()(canary_decide.promote)
app.command()(canary_decide.pause)
app.command()(canary_decide.resume)
app.command()(canary_decide.abort)
app.command()(canary_show.history)
app.command()(canary_show.replay)
app.command()(canary_show.report)


@app.command("simulate")
def simulate_plan(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    plan: Annotated[
        str, typer.Option(help="A ready plan (careful, fast, shadow-first, manual), or a YAML file with one.")
    ] = "careful",
    metric: Annotated[str, typer.Option(help="The plan's metric that differs.")] = "errors",
    others: Annotated[float, typer.Option(min=0, max=1, help="Its rate in the others' requests, 0 to 1.")] = 0.01,
    canary: Annotated[
        list[float] | None, typer.Option(min=0, max=1, help="Its rate in the canary's requests, 0 to 1. Repeatable.")
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.001, help="Requests a second, in both arms together.")] = 20,
    callers: Annotated[
        int | None, typer.Option(min=1, help="The number of callers. By default each request is of a new one.")
    ] = None,
    incident: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="SHARE SECONDS",
            help="Has this share of all requests fail in both arms for so long, a minute after the canary began.",
        ),
    ] = None,
    look_every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks at the evidence.")] = 5,
    runs: Annotated[int, typer.Option(min=1, help="Simulated canaries per row.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Simulates a plan under assumed rates: how often it rolls back, promotes or stays undecided, how soon, and at what
    cost.

    Gates count as passed, and copies as answered well.

    Example: patchbay canary simulate --plan fast --canary 0.01 --canary 0.05 --callers 300 --incident 0.3 60
    """
    from dataclasses import asdict, replace

    from patchbay.adapters.commands.output import print_json
    from patchbay.router.canary.simulate import SimulatedWorld

    try:
        chosen, happens = _plan(plan, metric), _incident(incident)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    world = SimulatedWorld(bad={}, per_s=per_second, tick_s=look_every, callers=callers, incident=happens)
    rates = canary or (others, 2 * others, 5 * others, 0.3)
    worlds = {rate: replace(world, bad={metric: (others, min(rate, 1.0))}) for rate in rates}
    found = _outcomes(chosen, worlds, runs=runs, seed=seed, quiet=as_json)
    known = {"others": others, "callers": callers, "incident": world.incident}
    if as_json:
        print_json([{**known, "canary": rate, **asdict(outcome)} for rate, outcome in found])
    else:
        _show_outcomes(f"{plan}: {metric} {others:.1%} with the others{_also(world)}", found)


def _show_outcomes(title: str, outcomes: "list[tuple[float, Outcome]]") -> None:
    from patchbay.adapters.commands.output import console, table

    heads = ("canary", "rolled back", "promoted", "undecided", "seconds", "its requests", "of them bad")
    console().print(table(title, heads, [_row(rate, outcome) for rate, outcome in outcomes]))
    console().print("Seconds and requests until rolled back: median, 90th percentile.")


def _outcomes(
    plan: "PlanConfig", worlds: "Mapping[float, SimulatedWorld]", *, runs: int, seed: int, quiet: bool
) -> "list[tuple[float, Outcome]]":
    """Simulates a plan in each of the worlds, by the canary's rate, with a progress bar unless `quiet`."""
    from rich.progress import Progress

    from patchbay.router.canary.simulate import simulate

    with Progress(transient=True, disable=quiet) as progress:
        task = progress.add_task("simulating", total=runs * len(worlds))
        return [
            (rate, simulate(plan, world, runs=runs, seed=seed, told=lambda _: progress.advance(task)))
            for rate, world in worlds.items()
        ]


def _incident(option: tuple[float, float] | None) -> "Incident | None":
    """Returns the disturbance of both arms that the option asks for. Raises ConfigError where it is no share or no
    time."""
    from patchbay.router.canary.simulate import Incident

    if option is None:
        return None
    share, seconds = option
    if not (0 <= share <= 1 and 0 < seconds < math.inf):
        raise ConfigError("--incident takes a share from 0 to 1, and a number of seconds: --incident 0.3 60.")
    return Incident(from_s=_INCIDENT_AT_S, to_s=_INCIDENT_AT_S + seconds, errors=share)


def _also(world: "SimulatedWorld") -> str:
    """Describes the other assumptions."""
    callers = f", {world.callers} callers" if world.callers is not None else ""
    if world.incident is None:
        return callers
    lasts_s = world.incident.to_s - world.incident.from_s
    return f"{callers}, and {world.incident.errors:.0%} of all fail for {lasts_s:g} s"


def _row(rate: float, outcome: "Outcome") -> tuple[str, ...]:
    shares = (outcome.rolled_back, outcome.promoted, outcome.undecided)
    pairs = (outcome.took_s, outcome.requests, outcome.bad)
    columns = [f"{median:.0f}, {most:.0f}" if outcome.rolled_back else "" for median, most in pairs]
    return (f"{rate:.1%}", *(f"{share:.1%}" for share in shares), *columns)


def _plan(name: str, metric: str) -> "PlanConfig":
    """Returns the plan of that name, or in that file, without its gates and copies. Raises ConfigError."""
    from patchbay.router.canary.named_plans import named_plan

    plan = named_plan(name)
    if metric not in plan.metrics:
        raise ConfigError(f"The plan '{name}' does not watch '{metric}' (it watches: {', '.join(plan.metrics)}).")
    steps = tuple(step.model_copy(update={"gate": False}) for step in plan.steps)
    return plan.model_copy(update={"steps": steps, "shadow": None})
