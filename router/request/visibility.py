"""Visibility of routes and models to a client: nothing that a client sees names another one. Pure."""

from patchbay.router.routes.config import AUTO, RouteConfig
from patchbay.router.routes.table import Opens, RouteTable
from patchbay.router.tenants.clients import Client


def is_open_to(config: RouteConfig, name: str, client: Client) -> bool:
    """Whether a client may call the route called `name`, whose configuration is `config`."""
    return client.may_call_route(name) and (not config.tenants or client.tenant in config.tenants)


def opened_by(client: Client, table: RouteTable) -> Opens:
    """Returns the function that tells whether `client` may ask for a name: a route, `auto`, an adapter or a base."""

    def opens(name: str) -> bool:
        route = table.routes.get(name)
        if route is not None:
            return is_open_to(route, name, client)
        if name == AUTO and table.auto is not None:
            return opens(table.auto.general)
        return client.may_use_adapter(name.partition("@")[0])

    return opens
