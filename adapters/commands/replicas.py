"""The command `patchbay replicas`: the list of replicas that routers read from the registry."""

from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import console, print_json, table
from patchbay.adapters.commands.session import AsJson, Config, opened

if TYPE_CHECKING:
    from patchbay.registry.records import ReplicaAddress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Manage the replicas of routers that look them up in the registry (`url: registry`).",
)
_Name = Annotated[str, typer.Argument(help="Its name in headers, metrics and logs.")]


@app.command("list")
def list_replicas(config: Config = None, as_json: AsJson = False) -> None:
    """Lists the replicas in the registry.

    Example: patchbay replicas list
    """
    with opened(config) as session:
        found = session.registry.replicas()
    if as_json:
        print_json(found)
        return
    rows = [
        (replica.name, replica.url, replica.added_by, replica.added_at.isoformat(timespec="seconds"))
        for replica in found
    ]
    console().print(table("", ("name", "url", "added by", "added at"), rows))


@app.command("add")
def add(
    name: _Name,
    url: Annotated[str, typer.Argument(help="Its address: http://HOST:PORT.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Has routers use a replica, within seconds. A replica of the same name moves to the new address.

    Example: patchbay replicas add gpu-3 http://10.0.0.7:9001
    """
    with opened(config) as session:
        added = session.registry.add_replica(name, url, actor=session.actor)
    _tell(added, f"{name} is at {added.url}.", as_json=as_json)


@app.command("remove")
def remove(name: _Name, config: Config = None, as_json: AsJson = False) -> None:
    """Has routers send a replica no new requests. It finishes those that it has.

    Example: patchbay replicas remove gpu-3
    """
    with opened(config) as session:
        gone = session.registry.remove_replica(name, actor=session.actor)
    _tell(gone, f"{name} gets no new requests.", as_json=as_json)


def _tell(replica: "ReplicaAddress", text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(replica)
    else:
        typer.echo(text)
