"""The command `patchbay tenants`: tenants, their tiers and limits."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, moment, print_json, table
from patchbay.adapters.commands.session import Anyway, AsJson, Config, Session, opened, tell

if TYPE_CHECKING:
    from patchbay.core.tenancy import Limits
    from patchbay.registry.records import TenantRecord

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Create tenants, and change their tiers and limits.")
_Name = Annotated[str, typer.Argument(help="The tenant.")]
_Tier = Annotated[str | None, typer.Option(help="The name of a tier under `tiers` in the configuration.")]
_Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="NAME=NUMBER: requests_per_minute, tokens_per_minute, concurrent, tokens_per_day or money_per_day; "
        "NAME= for the tier's own. Repeatable.",
    ),
]


@app.command("list")
def list_tenants(config: Config = None, as_json: AsJson = False) -> None:
    """Lists all tenants.

    Example: patchbay tenants list
    """
    with opened(config) as session:
        found = session.registry.accounts.tenants()
    if as_json:
        print_json([_shown(tenant) for tenant in found])
        return
    rows = [
        (
            tenant.name,
            tenant.tier,
            _limits(tenant.limits),
            "disabled" if tenant.disabled else "",
            moment(tenant.created_at),
        )
        for tenant in found
    ]
    console().print(table("", ("name", "tier", "own limits", "", "since"), rows))


@app.command("create")
def create(
    name: _Name,
    tier: _Tier = None,
    limit: _Limit = None,
    anyway: Anyway = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Creates a tenant. `patchbay keys create` makes its keys.

    Example: patchbay tenants create acme --tier pro --limit tokens_per_minute=50000
    """
    with opened(config) as session:
        limits = _changed(None, limit or [])
        _check_tier(session, tier, anyway=anyway)
        made = session.registry.accounts.create_tenant(name, tier=tier or "default", limits=limits, actor=session.actor)
    _tell(made, f"{name} is a tenant of the tier {made.tier}.", as_json=as_json)


@app.command("set")
def change(
    name: _Name,
    tier: _Tier = None,
    limit: _Limit = None,
    anyway: Anyway = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Changes a tenant's tier or limits, on every router within seconds.

    Example: patchbay tenants set acme --limit concurrent=8 --limit tokens_per_day=
    """
    from patchbay.core.errors import NotFound

    with opened(config) as session:
        before = next((tenant for tenant in session.registry.accounts.tenants() if tenant.name == name), None)
        if before is None:
            raise NotFound(f"There is no tenant called '{name[:80]}'.", hint="patchbay tenants list")
        limits = _changed(before.limits, limit) if limit else None
        _check_tier(session, tier, anyway=anyway)
        made = session.registry.accounts.set_tenant(name, tier=tier, limits=limits, actor=session.actor)
    _tell(made, f"{name}: tier {made.tier}, own limits {_limits(made.limits)}.", as_json=as_json)


@app.command("disable")
def disable(name: _Name, config: Config = None, as_json: AsJson = False) -> None:
    """Refuses all of a tenant's keys, until it is enabled again.

    Example: patchbay tenants disable acme
    """
    with opened(config) as session:
        made = session.registry.accounts.set_tenant(name, disabled=True, actor=session.actor)
    _tell(made, f"{name} is disabled.", as_json=as_json)


@app.command("enable")
def enable(name: _Name, config: Config = None, as_json: AsJson = False) -> None:
    """Makes a disabled tenant's keys valid again.

    Example: patchbay tenants enable acme
    """
    with opened(config) as session:
        made = session.registry.accounts.set_tenant(name, disabled=False, actor=session.actor)
    _tell(made, f"{name} is enabled.", as_json=as_json)


def _check_tier(session: Session, tier: str | None, *, anyway: bool) -> None:
    """Raises NotFound for a tier that the servers' configuration does not have. Says so where it cannot be checked."""
    from patchbay.adapters.server_file import require
    from patchbay.core.tenancy import DEFAULT_TIER

    if tier is None or tier == DEFAULT_TIER or anyway:
        return
    if session.names is None:
        tell(
            f"note: the tier '{tier}' was not checked, as no configuration was given (-c FILE). Routers refuse all "
            "requests of a tenant whose tier is not under 'tiers' in their configuration."
        )
        return
    hint = "Add it there and reload first, or use --anyway."
    require("tier", tier, session.names.tiers, where=f"under 'tiers' in {session.names.file}", hint=hint)


def _changed(before: "Limits | None", given: list[str]) -> "Limits":
    """Returns the limits `before`, changed by `given`. Raises ConfigError where that is not NAME=NUMBER."""
    from patchbay.core.errors import ConfigError
    from patchbay.core.settings import parse_settings
    from patchbay.core.tenancy import Limits

    values: dict[str, object] = {name: value for name, value in (before or Limits()) if value is not None}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--limit {text}: write it as NAME=NUMBER, such as tokens_per_minute=50000.")
        values.pop(name, None)
        if value or name not in Limits.model_fields:
            # As text: pydantic makes a number of it, or says why not.
            values[name] = value
    return parse_settings(Limits, values, source="--limit")


def _limits(limits: "Limits") -> str:
    # In the form in which people type them: no 2e+06.
    return ", ".join(f"{name}={value:.15g}" for name, value in limits if value is not None) or "-"


def _shown(tenant: "TenantRecord") -> dict[str, object]:
    return {
        "name": tenant.name,
        "tier": tenant.tier,
        "limits": tenant.limits.model_dump(),
        "disabled": tenant.disabled,
        "created_at": tenant.created_at.isoformat(),
    }


def _tell(tenant: "TenantRecord", text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_shown(tenant))
    else:
        typer.echo(text)
