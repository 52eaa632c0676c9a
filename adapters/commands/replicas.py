"""`patchbay replicas`: which replicas the routers of a registry are to use."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, print_json, table
from patchbay.adapters.commands.session import AsJson, Config, opened

if TYPE_CHECKING:
    from patchbay.registry.records import ReplicaAddress

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Replicas that routers with `replicas: [registry]` use."
)
_Name = Annotated[str, typer.Argument(help="What headers, metrics and logs call it.")]


@app.command("list")
def list_replicas(config: Config = None, as_json: AsJson = False) -> None:
    """Shows the replicas in the registry.

    Example: patchbay replicas list
    """
    with opened(config) as session:
        found = session.registry.replicas()
    if as_json:
        print_json(found)
        return
    rows = [(one.name, one.url, one.added_by, one.added_at.isoformat(timespec="seconds")) for one in found]
    console().print(table("", ("name", "url", "added by", "added at"), rows))


@app.command("add")
def add(
    name: _Name,
    url: Annotated[str, typer.Argument(help="Where it listens: http://HOST:PORT.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Has routers use a replica, within seconds. One of that name goes over to the new address.

    Example: patchbay replicas add gpu-3 http://10.0.0.7:9001
    """
    with opened(config) as session:
        added = session.registry.add_replica(name, url, actor=session.actor)
    _tell(added, f"{name} is at {added.url}.", as_json=as_json)


@app.command("remove")
def remove(name: _Name, config: Config = None, as_json: AsJson = False) -> None:
    """Has routers give a replica no more requests. What it is answering, it answers to the end.

    Example: patchbay replicas remove gpu-3
    """
    with opened(config) as session:
        gone = session.registry.remove_replica(name, actor=session.actor)
    _tell(gone, f"{name} is not used any more.", as_json=as_json)


def _tell(replica: "ReplicaAddress", text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(replica)
    else:
        typer.echo(text)
