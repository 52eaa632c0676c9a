"""The commands `promote`, `rollback`, `clear`, `retire` and `set` of `patchbay adapters`: move channels, and change how
replicas keep adapters."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.interruption import told_when_interrupted
from patchbay.adapters.commands.output import activity, console, print_json
from patchbay.adapters.commands.session import AsJson, Config, Session, Why, opened

if TYPE_CHECKING:
    from patchbay.adapters.lifecycle import Adoption, Moved
    from patchbay.registry.records import Channel, ChannelChange, Rollout

_Channel = Annotated[str, typer.Option("--channel", help="The channel: stable or canary.")]
_Now = Annotated[bool, typer.Option("--now", help="Do not wait until replicas have it and have tested it.")]
_ROLLOUT_S = 600.0


def promote(
    reference: Annotated[str, typer.Argument(metavar="NAME@R", help="The revision.")],
    channel: _Channel = "stable",
    why: Why = None,
    now: _Now = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Makes an adapter's name mean a revision. The revision is staged and tested on every replica first.

    Example: patchbay adapters promote sql@4 --why "better on dates"
    """
    with opened(config) as session:
        promote_and_wait(session, reference, channel, why=why, now=now, as_json=as_json)


def promote_and_wait(
    session: Session,
    reference: str,
    channel: str = "stable",
    *,
    why: str | None = None,
    now: bool = False,
    as_json: bool,
) -> None:
    """Promotes a revision, waits until it is live, and prints the result.

    `reference`: names it, `sql@4`; `channel`: the channel to move; `now`: skips staging and testing. Raises what
    `Lifecycle.promote` does.
    """
    from patchbay.registry.records import ChannelChange

    chosen, revision = _channel(channel), session.registry.resolve(reference)
    change = ChannelChange(
        adapter=revision.adapter, number=revision.number, channel=chosen, actor=session.actor, why=why
    )
    _tell_canary(session, change, as_json=as_json)
    moved = session.lifecycle.promote(reference, chosen, actor=session.actor, why=why, now=now)
    _finish(session, moved, as_json=as_json)


def rollback(
    name: Annotated[str, typer.Argument(help="The adapter.")],
    channel: _Channel = "stable",
    why: Why = None,
    now: _Now = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Makes an adapter's name mean its previous revision. Replicas keep that for a while, so this takes a moment only.

    Example: patchbay adapters rollback sql --why "it drops columns"
    """
    from patchbay.registry.records import ChannelChange

    with opened(config) as session:
        chosen = _channel(channel)
        _tell_canary(
            session,
            ChannelChange(adapter=name, number=None, channel=chosen, actor=session.actor, why=why, kind="rollback"),
            as_json=as_json,
        )
        moved = session.lifecycle.rollback(name, chosen, actor=session.actor, why=why, now=now)
        _finish(session, moved, as_json=as_json)


def clear(
    name: Annotated[str, typer.Argument(help="The adapter.")],
    channel: _Channel = "canary",
    why: Why = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Empties a channel. An adapter with an empty 'stable' is not served.

    Example: patchbay adapters clear sql --channel canary
    """
    from patchbay.registry.records import ChannelChange

    with opened(config) as session:
        chosen = _channel(channel)
        _tell_canary(
            session,
            ChannelChange(adapter=name, number=None, channel=chosen, actor=session.actor, why=why, kind="clear"),
            as_json=as_json,
        )
        _finish(session, session.lifecycle.clear(name, chosen, actor=session.actor, why=why), as_json=as_json)


def retire(
    reference: Annotated[str, typer.Argument(metavar="NAME@R", help="The revision.")],
    why: Why = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Retires a revision for good: it leaves every replica, and its number is never used again.

    Example: patchbay adapters retire sql@2 --why "trained on the wrong data"
    """
    with opened(config) as session:
        found = _exact(session, reference)
        retired = session.registry.retire(*found, actor=session.actor, why=why)
        if as_json:
            print_json(retired)
        else:
            typer.echo(f"{retired.name} is retired. Its files go with the next 'patchbay adapters gc'.")


def keep(
    name: Annotated[str, typer.Argument(help="The adapter.")],
    preload: Annotated[bool | None, typer.Option(help="Load it before its first request.")] = None,
    pin: Annotated[bool | None, typer.Option(help="Evict it last.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Changes how replicas keep an adapter.

    Example: patchbay adapters set sql --pin
    """
    from patchbay.registry.records import AdapterSettings

    with opened(config) as session:
        session.registry.revisions(name)
        known = session.registry.snapshot().adapters[name].settings
        chosen = AdapterSettings(
            preload=known.preload if preload is None else preload, pin=known.pin if pin is None else pin
        )
        session.registry.set_settings(name, chosen, actor=session.actor)
        if as_json:
            print_json(chosen)
        else:
            typer.echo(f"{name}: preload {_yes(chosen.preload)}, pin {_yes(chosen.pin)}")


def _tell_canary(session: Session, change: "ChannelChange", *, as_json: bool) -> None:
    """Says what a change of `stable` does to a canary under way, and asks first on a terminal.

    Ends the command where the person does not want it. Raises what the change would.
    """
    from patchbay.registry.canary_decisions import CanaryMoves

    session.lifecycle.check(change)
    canary = CanaryMoves(session.registry.canaries).under_way(change.adapter)
    view = session.registry.snapshot().adapters[change.adapter]
    unchanged = change.kind == "promote" and view.number(change.channel) == change.number
    if canary is None or unchanged:
        return
    end = (
        "is promoted by this"
        if canary.number == change.number
        else "ends with this: it would have nothing to be compared with"
    )
    message = f"The canary {canary.id} of {canary.name} ({canary.phase}, {canary.weight:g}% of callers) {end}."
    typer.echo(message, err=True)
    if sys.stdin.isatty() and not as_json:
        typer.confirm("Go on?", abort=True, err=True)


def _finish(session: Session, moved: "Moved", *, as_json: bool) -> None:
    from patchbay.adapters.lifecycle import Moved

    if moved.rollout is not None:
        _wait(session, moved.rollout, quiet=as_json)
        name, channel = moved.rollout.adapter, moved.rollout.channel
        record = session.registry.snapshot().adapters[name].channels[channel]
        moved = Moved(session.registry.generation(), moved.rollout, record)
    with activity("waiting for routers"):
        arrival = session.lifecycle.wait_until_live(moved.generation)
    if as_json:
        print_json({"channel": moved.channel, "rollout": moved.rollout, "live": arrival})
    elif moved.channel is not None:
        record, meaning = moved.channel, "means nothing"
        if record.number is not None:
            meaning = f"means {record.adapter}@{record.number}"
        extent = _extent(arrival, at_once=moved.rollout is None)
        console().print(f"'{record.channel}' of [bold]{record.adapter}[/bold] {meaning} now{extent}")


def _wait(session: Session, rollout: "Rollout", *, quiet: bool) -> None:
    def tell(seen: "Rollout") -> None:
        reason = f": {seen.reason}" if seen.reason else ""
        shown.tell(f"{seen.adapter}@{seen.number} is {seen.state}{reason}")
        if not quiet and seen.state in ("staging", "testing") and seen.state not in shown_states:
            shown_states.add(seen.state)
            console().print(f"  {seen.state}{reason}", style="dim")

    shown_states: set[str] = set()
    with (
        told_when_interrupted(lambda: _goes_on(session, rollout)),
        activity(f"rolling out {rollout.adapter}@{rollout.number}") as shown,
    ):
        session.lifecycle.wait_for_rollout(rollout, timeout_s=_ROLLOUT_S, tell=tell)


def _goes_on(session: Session, rollout: "Rollout") -> str:
    """Says that a rollout goes on without the command, and how to stop it."""
    from patchbay.registry.canary_decisions import CanaryMoves

    name, channel = rollout.adapter, rollout.channel
    canary = CanaryMoves(session.registry.canaries).under_way(name)
    number = session.registry.snapshot().adapters[name].number(channel)
    if canary is not None and canary.rollout == rollout.id:
        stop = f"patchbay canary abort {name}"
    elif number is None:
        stop = f"patchbay adapters clear {name} --channel {channel}"
    else:
        stop = f"patchbay adapters promote {name}@{number}{f' --channel {channel}' if channel != 'stable' else ''}"
    return (
        f"The rollout of {name}@{rollout.number} goes on in the routers: '{channel}' comes to mean it once replicas "
        f"have it. 'patchbay adapters list' shows how it stands. To stop it: {stop}"
    )


def _extent(arrival: "Adoption", *, at_once: bool) -> str:
    if arrival.missing:
        return f", but not yet on {', '.join(arrival.missing)}"
    if not arrival.after_s:
        return "; no router is running"
    count, longest = len(arrival.after_s), max(arrival.after_s.values())
    return f", on {count} router{'s' * (count != 1)}" + (f" after {longest:.2f} s" if at_once else "")


def _channel(text: str) -> "Channel":
    from patchbay.core.errors import ConfigError
    from patchbay.registry.records import CHANNELS

    for channel in CHANNELS:
        if channel == text:
            return channel
    raise ConfigError(f"--channel {text}: use one of {', '.join(CHANNELS)}.")


def _exact(session: Session, reference: str) -> tuple[str, int]:
    """Returns the revision that `reference` names by its number. An irreversible change must not depend on what a name
    means now."""
    from patchbay.core.errors import ConfigError

    revision = session.registry.resolve(reference)
    if "@" not in reference:
        raise ConfigError(f"'{reference}' names an adapter.", hint=f"Name a revision, such as {revision.name}.")
    return revision.adapter, revision.number


def _yes(value: bool) -> str:
    return "yes" if value else "no"
