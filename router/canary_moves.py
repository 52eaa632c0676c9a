"""`patchbay canary start`, `promote`, `pause`, `resume`, `abort`: what people decide about a canary."""

from typing import TYPE_CHECKING, Annotated

import typer

from adapters.commands.desk import AsJson, Config, Desk, Why, opened
from adapters.errors import Conflict

if TYPE_CHECKING:
    from rich.console import RenderableType

    from adapters.canary_moves import CanaryMoves
    from adapters.registry.canary_records import CanaryRecord
    from router.canary.plan import PlanConfig
    from router.watching import Sight

_Name = Annotated[str, typer.Argument(metavar="ADAPTER", help="The adapter or pool, or the canary's number.")]
_ALIVE_S = 10.0
_NOT_KNOWN = (
    "Not checked: no file here says which routes and guards there are. Metrics that need a guard may see nothing, and "
    "the router that leads ends the canary (`failed`) where a plan of your own names one, or a route that leads "
    "elsewhere. Name the routers' configuration by --config to know it now."
)


def start(
    reference: Annotated[str | None, typer.Argument(metavar="[NAME@R]", help="The revision to try.")] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", help="A pool of replicas to try, in place of a revision.")
    ] = None,
    plan: Annotated[
        str, typer.Option("--plan", help="careful, fast, shadow-first or manual, or a YAML file.")
    ] = "careful",
    why: Why = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Tries a revision on a small share of callers, and lets the evidence decide. It is staged and tested first.

    Example: patchbay canary start sql@4 --plan fast
    """
    from dataclasses import asdict

    from adapters.commands.output import console, print_json
    from adapters.registry.canary_records import CanaryDraft
    from router.canary.plans import named_plan

    with opened(config) as desk:
        adapter, number = _revision(reference, pool)
        chosen, sight = _seen(named_plan(plan), adapter, pool, config)
        _check_tenant(desk, chosen)
        _check_alive(desk)
        draft = CanaryDraft(adapter, number, chosen.model_dump(mode="json"), desk.actor, why, pool)
        record = desk.registry.canaries.start(draft)
        if as_json:
            print_json({**asdict(record), "sight": sight})
            return
        typer.echo(f"Canary {record.id}: {record.name} against {record.stable_name}.")
        console().print(_sight_table(sight) if sight is not None else _NOT_KNOWN)
        typer.echo(f"  patchbay canary watch {record.subject}")


def _seen(plan: "PlanConfig", adapter: str, pool: str | None, config: Config) -> "tuple[PlanConfig, Sight | None]":
    """The plan as it can be judged, and what it sees, None where no file tells what routers serve. Raises
    ConfigError."""
    from router.canary_served import served_by
    from router.watching import Subject, checked

    served = served_by(config)
    return (plan, None) if served is None else checked(plan, Subject(adapter, pool), served)


def _sight_table(sight: "Sight") -> "RenderableType":
    from adapters.commands.output import table

    rows = [(name, "yes", on) for name, on in sight.watched.items()]
    rows += [(name, "no", why) for name, why in sight.unseen.items()]
    return table("", ("metric", "watched", "on, or why not"), rows)


def _check_tenant(desk: Desk, plan: "PlanConfig") -> None:
    """Raises ConfigError where the plan's scope names a tenant that the registry does not know."""
    from adapters.errors import ConfigError
    from adapters.tenancy import DEFAULT_TENANT
    from router.watching import tenant_fault

    fault = tenant_fault(plan.scope, {DEFAULT_TENANT, *(one.name for one in desk.registry.accounts.tenants())})
    if fault is not None:
        raise ConfigError(fault)


def _revision(reference: str | None, pool: str | None) -> tuple[str, int]:
    from adapters.errors import ConfigError
    from adapters.names import parse_reference

    if (reference is None) == (pool is None):
        raise ConfigError("Name a revision, such as sql@4, or a pool by --pool.")
    if reference is None:
        return "", 0
    found = parse_reference(reference)
    if found is None or found.number is None:
        raise ConfigError(f"'{reference}' names no revision: write it as sql@4.", hint="patchbay adapters list")
    return found.name, found.number


def promote(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Promotes a canary, whatever the evidence says.

    Example: patchbay canary promote sql --why "reviewed by hand"
    """
    with opened(config) as desk:
        after = _moves(desk).promote(live_canary(desk, name), actor=desk.actor, why=why)
        _say(after, f"{after.name} is promoted.", as_json=as_json)


def pause(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Keeps a canary at the share that it has. What is bad still rolls it back.

    Example: patchbay canary pause sql --why "the office is empty"
    """
    with opened(config) as desk:
        after = _moves(desk).pause(live_canary(desk, name), actor=desk.actor, why=why)
        _say(after, f"{after.name} stays at {after.weight:g}%.", as_json=as_json)


def resume(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Lets a paused canary go on, or one that waits at a gate take its next step.

    Example: patchbay canary resume sql
    """
    with opened(config) as desk:
        after = _moves(desk).resume(live_canary(desk, name), actor=desk.actor, why=why)
        _say(after, f"{after.name} goes on.", as_json=as_json)


def abort(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Ends a canary: every router sends it nothing more, within two seconds.

    Example: patchbay canary abort sql --why "customers complain"
    """
    with opened(config) as desk:
        after = _moves(desk).abort(live_canary(desk, name), actor=desk.actor, why=why)
        _say(after, f"{after.name} gets no more requests.", as_json=as_json)


def _moves(desk: Desk) -> "CanaryMoves":
    from adapters.canary_moves import CanaryMoves

    return CanaryMoves(desk.registry.canaries)


def live_canary(desk: Desk, name: str) -> "CanaryRecord":
    """The canary that `name` means: an adapter's that has not ended, or the one with that number. Raises NotFound."""
    if name.isdecimal():
        return desk.registry.canaries.get(int(name))
    return desk.registry.canaries.live(name.partition("@")[0])


def _check_alive(desk: Desk) -> None:
    if not desk.registry.routers(_ALIVE_S):
        raise Conflict("No router is alive that could send the canary anything.", hint="patchbay up")


def _say(record: "CanaryRecord", text: str, *, as_json: bool) -> None:
    from adapters.commands.output import print_json

    if as_json:
        print_json(record)
    else:
        typer.echo(text)
