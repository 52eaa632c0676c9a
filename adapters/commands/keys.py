"""The command `patchbay keys`: API keys of tenants."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, moment, print_json, table
from patchbay.adapters.commands.session import ALIVE_S, Anyway, AsJson, Config, Session, opened, tell

if TYPE_CHECKING:
    from patchbay.registry.records import KeyRecord, Scope

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Create, rotate and revoke the API keys of tenants.")
_DURATION = re.compile(r"(?P<count>[1-9]\d{0,5})(?P<unit>[smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_Tenant = Annotated[str, typer.Argument(help="The tenant.")]
_Routes = Annotated[list[str] | None, typer.Option("--route", help="A route that it opens. Repeatable.")]
_Adapters = Annotated[
    list[str] | None,
    typer.Option("--adapter", help="An adapter, or the base, that it opens, by its bare name. Repeatable."),
]


@app.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Argument(help="Only this tenant's keys.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Lists keys, without their secrets.

    Example: patchbay keys list acme
    """
    with opened(config) as session:
        session.check_tenant(tenant)
        found = session.registry.accounts.keys(tenant)
    if as_json:
        print_json([_shown(key) for key in found])
        return
    rows = [(key.id, key.tenant, _scope(key), key.note, moment(key.created_at), _state(key)) for key in found]
    console().print(table("", ("id", "tenant", "opens", "note", "since", "state"), rows))


@app.command("create")
def create(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    tenant: _Tenant,
    route: _Routes = None,
    adapter: _Adapters = None,
    expires: Annotated[str | None, typer.Option(help="The time after which it ends: 90d, 12h, 30m.")] = None,
    note: Annotated[str, typer.Option(help="A note on its purpose.")] = "",
    anyway: Anyway = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Creates a key and prints it, this once. Without --route and --adapter it opens everything.

    Example: patchbay keys create acme --route support --expires 90d
    """
    from patchbay.registry.records import Scope

    with opened(config) as session:
        scope = Scope(routes=tuple(route) if route else None, adapters=tuple(adapter) if adapter else None)
        ttl = _duration(expires) if expires else None
        if not anyway:
            _check_names(session, scope)
        made, record = session.registry.accounts.create_key(tenant, scope, actor=session.actor, note=note, ttl=ttl)
        alive = session.registry.routers(ALIVE_S)
    if as_json:
        print_json({**_shown(record), "key": made.text})
    else:
        typer.echo(made.text)
        tell(f"This is the key {made.id} of {tenant}. It is not stored, and will not be shown again.")
        if not alive:
            tell("note: no router uses this registry now; a 'patchbay router' needs 'registry' in its file.")


@app.command("rotate")
def rotate(
    key: Annotated[str, typer.Argument(help="The id of the key to replace.")],
    overlap: Annotated[str, typer.Option(help="How long the old key stays valid: 24h.")] = "24h",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Creates a key that opens the same as another, which ends after the overlap.

    Example: patchbay keys rotate k3jz5m2qa7bd --overlap 24h
    """
    from patchbay.core.errors import NotFound

    with opened(config) as session:
        accounts, length = session.registry.accounts, _duration(overlap)
        known = accounts.keys()
        old = next((known_key for known_key in known if known_key.id == key and known_key.revoked_at is None), None)
        if old is None:
            raise NotFound(f"There is no live key '{key[:40]}'.", hint="patchbay keys list")
        made, record = accounts.create_key(old.tenant, old.scope, actor=session.actor, note=old.note)
        accounts.revoke_key(key, actor=session.actor, after=length)
    if as_json:
        print_json({**_shown(record), "key": made.text, "replaces": key})
    else:
        typer.echo(made.text)
        typer.echo(f"This is the key {made.id}, shown this once. {key} ends in {overlap}.", err=True)


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Revokes a key, on every router within two seconds.

    Example: patchbay keys revoke k3jz5m2qa7bd
    """
    with opened(config) as session:
        gone = session.registry.accounts.revoke_key(key, actor=session.actor)
    if as_json:
        print_json(_shown(gone))
    else:
        typer.echo(f"{key} of {gone.tenant} is revoked.")


def _check_names(session: Session, scope: "Scope") -> None:
    """Raises NotFound for an unknown route or adapter. Says so where it cannot be checked."""
    from patchbay.adapters.server_file import require

    names, registry, hint = session.names, session.registry, "Use --anyway if you will add it later."
    for route in scope.routes or ():
        if names is None:
            tell(f"note: the route '{route}' was not checked, as no configuration was given (-c FILE).")
        else:
            require("route", route, names.routes, where=f"in {names.file}", hint=hint)
    pushed = {view.name for view in registry.adapters()} | {base.name for base in registry.bases()}
    known = pushed | (names.models if names is not None else frozenset())
    for adapter in scope.adapters or ():
        if known:
            require("adapter or base", adapter, known, where="in the registry", hint=hint)
        else:
            tell(f"note: the adapter '{adapter}' was not checked, as the registry has no adapters yet.")


def _duration(text: str) -> timedelta:
    from patchbay.core.errors import ConfigError

    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(f"'{text}' is not a length of time: write it as 90d, 12h, 30m or 45s.")
    return timedelta(seconds=int(match["count"]) * _UNITS[match["unit"]])


def _scope(key: "KeyRecord") -> str:
    named = [*(f"route {route}" for route in key.scope.routes or ()), *(key.scope.adapters or ())]
    return ", ".join(named) or "everything"


def _state(key: "KeyRecord") -> str:
    from patchbay.registry.times import utc_now

    if key.revoked_at is not None:
        return f"revoked {moment(key.revoked_at)}"
    if key.expires_at is None:
        return "live"
    return f"{'ended' if key.expires_at <= utc_now() else 'until'} {moment(key.expires_at)}"


def _shown(key: "KeyRecord") -> dict[str, object]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "note": key.note,
        "routes": key.scope.routes,
        "adapters": key.scope.adapters,
        "created_by": key.created_by,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
