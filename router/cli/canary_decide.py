"""The commands `patchbay canary start`, `promote`, `pause`, `resume` and `abort`: people's decisions about canaries."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.session import AsJson, Config, Session, Why, opened
from patchbay.core.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from rich.console import RenderableType

    from patchbay.registry.canary_decisions import CanaryMoves
    from patchbay.registry.canary_records import CanaryRecord
    from patchbay.router.canary.metric_coverage import Coverage
    from patchbay.router.canary.plan import PlanConfig

_Name = Annotated[str, typer.Argument(metavar="ADAPTER", help="The adapter or pool, or the canary's number.")]
_ALIVE_S = 10.0
_NOT_KNOWN = (
    "The plan was not checked: the running routers are of an older version and do not say which routes and guards they "
    "have. Metrics that need a guard may see nothing. If your own plan names such a metric, or a route that leads "
    "elsewhere, the leading router ends the canary as `failed`: see `patchbay canary status`."
)


def start(
    reference: Annotated[str | None, typer.Argument(metavar="[NAME@R]", help="The revision to try.")] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", help="The pool of replicas to try, instead of a revision.")
    ] = None,
    plan: Annotated[
        str, typer.Option("--plan", help="A ready plan (careful, fast, shadow-first, manual), or a YAML file with one.")
    ] = "careful",
    why: Why = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Tries a revision on a small share of callers and lets the evidence decide. The revision is staged and tested
    first.

    Example: patchbay canary start sql@4 --plan fast
    """
    from dataclasses import asdict

    from patchbay.adapters.commands.output import console, print_json
    from patchbay.registry.canary_records import CanaryDraft
    from patchbay.router.canary.named_plans import named_plan

    with opened(config) as session:
        adapter, number = _revision(reference, pool)
        if pool is None:
            session.registry.check_usable(adapter, number)
        chosen, coverage = _seen(session, named_plan(plan), adapter, pool, config)
        _check_tenant(session, chosen)
        _check_alive(session)
        draft = CanaryDraft(
            adapter=adapter, number=number, plan=chosen.model_dump(mode="json"), actor=session.actor, why=why, pool=pool
        )
        record = session.registry.canaries.start(draft)
        if as_json:
            print_json({**asdict(record), "sight": coverage})
            return
        typer.echo(f"Canary {record.id}: {record.name} against {record.stable_name}.")
        console().print(_coverage_table(coverage) if coverage is not None else _NOT_KNOWN)
        typer.echo(f"  patchbay canary watch {record.subject}")


def _seen(
    session: Session, plan: "PlanConfig", adapter: str, pool: str | None, config: Config
) -> "tuple[PlanConfig, Coverage | None]":
    """Returns the plan as it can be judged, and what it sees.

    It is checked against the configurations that living routers have told in the registry, else against a file; the
    coverage is None where there is neither. Raises ConfigError.
    """
    from patchbay.router.canary.metric_coverage import Subject, checked
    from patchbay.router.canary.served import Served
    from patchbay.router.cli.canary_served import served_by

    documents = (Served.parse(document) for document in session.registry.served(_ALIVE_S).values())
    places: list[Served | None] = [served for served in documents if served is not None]
    fault: ConfigError | None = None
    for served in places or [served_by(config)]:
        try:
            return (plan, None) if served is None else checked(plan, Subject(adapter, pool), served)
        except ConfigError as error:
            # Routers differ while a new configuration is being rolled out: one that can judge it is enough.
            fault = fault or error
    raise fault or ConfigError("No router says what it serves.")


def _coverage_table(coverage: "Coverage") -> "RenderableType":
    from patchbay.adapters.commands.output import table

    rows = [(name, "yes", on) for name, on in coverage.watched.items()]
    rows += [(name, "no", why) for name, why in coverage.unseen.items()]
    return table("", ("metric", "watched", "on, or why not"), rows)


def _check_tenant(session: Session, plan: "PlanConfig") -> None:
    """Raises ConfigError where the plan's scope names a tenant that the registry does not have."""
    from patchbay.core.errors import ConfigError
    from patchbay.core.tenancy import DEFAULT_TENANT
    from patchbay.router.canary.metric_coverage import tenant_fault

    fault = tenant_fault(plan.scope, {DEFAULT_TENANT, *(tenant.name for tenant in session.registry.accounts.tenants())})
    if fault is not None:
        raise ConfigError(fault)


def _revision(reference: str | None, pool: str | None) -> tuple[str, int]:
    from patchbay.core.errors import ConfigError
    from patchbay.core.names import parse_reference

    if (reference is None) == (pool is None):
        raise ConfigError("Name either a revision, such as sql@4, or a pool with --pool.")
    if reference is None:
        return "", 0
    found = parse_reference(reference)
    if found is None or found.number is None:
        raise ConfigError(
            f"'{reference}' names no revision: write it as sql@4.", hint="See the revisions: patchbay adapters list"
        )
    return found.name, found.number


def promote(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Promotes a canary, whatever the evidence says.

    Example: patchbay canary promote sql --why "reviewed by hand"
    """
    with opened(config) as session:
        after = _moves(session).promote(live_canary(session, name), actor=session.actor, why=why)
        _say(after, f"{after.name} is promoted.", as_json=as_json)


def pause(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Keeps a canary at its present share. Evidence that it is worse still rolls it back.

    Example: patchbay canary pause sql --why "the office is empty"
    """
    with opened(config) as session:
        after = _moves(session).pause(live_canary(session, name), actor=session.actor, why=why)
        _say(after, f"{after.name} stays at {after.weight:g}%.", as_json=as_json)


def resume(
    name: _Name,
    gate: Annotated[
        bool, typer.Option("--gate", help="Open the gate before the next step even if the canary has not reached it.")
    ] = False,
    why: Why = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ends a canary's pause. Without a pause, opens the gate that the canary waits at. Without either, changes nothing.

    Example: patchbay canary resume sql
    """
    with opened(config) as session:
        before = live_canary(session, name)
        after = _moves(session).resume(before, actor=session.actor, why=why, ahead=gate)
        _say(after, _resumed(before, after), as_json=as_json)


def _resumed(before: "CanaryRecord", after: "CanaryRecord") -> str:
    """Describes what a `resume` did."""
    if before.phase == "paused":
        closed = f" The gate before {after.next_gate:g}% stays closed." if after.next_gate is not None else ""
        return f"The pause is over: {after.name} goes on at {after.weight:g}%.{closed}"
    when = "now" if before.is_at_gate else "once this step is over"
    return f"The gate before {before.next_gate:g}% is open: {after.name} goes on to {before.next_gate:g}% {when}."


def abort(name: _Name, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Ends a canary: within two seconds no router sends it requests.

    Example: patchbay canary abort sql --why "customers complain"
    """
    with opened(config) as session:
        after = _moves(session).abort(live_canary(session, name), actor=session.actor, why=why)
        _say(after, f"{after.name} gets no more requests.", as_json=as_json)


def _moves(session: Session) -> "CanaryMoves":
    from patchbay.registry.canary_decisions import CanaryMoves

    return CanaryMoves(session.registry.canaries)


def live_canary(session: Session, name: str) -> "CanaryRecord":
    """Returns the canary that `name` means: an adapter's or pool's that has not ended, or the one with that number.
    Raises NotFound."""
    if name.isdecimal():
        return session.registry.canaries.get(int(name))
    return session.registry.canaries.live(name.partition("@")[0])


def _check_alive(session: Session) -> None:
    if not session.registry.routers(_ALIVE_S):
        raise Conflict("No router is running that could send the canary requests.", hint="Start one: patchbay up")


def _say(record: "CanaryRecord", text: str, *, as_json: bool) -> None:
    from patchbay.adapters.commands.output import print_json

    if as_json:
        print_json(record)
    else:
        typer.echo(text)
