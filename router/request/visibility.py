"""The names that a client may ask for: nothing that it is told names another. Pure."""

from patchbay.router.routes.config import AUTO, RouteConfig
from patchbay.router.routes.table import Opens, RouteTable
from patchbay.router.tenants.clients import Client


def is_open_to(config: RouteConfig, name: str, client: Client) -> bool:
    """Whether a client may call the route of that name."""
    return client.may_call_route(name) and (not config.tenants or client.tenant in config.tenants)


def opened_by(client: Client, table: RouteTable) -> Opens:
    """Whether `client` may ask for a route, `auto`, an adapter or a base of some name."""

    def opens(name: str) -> bool:
        route = table.routes.get(name)
        if route is not None:
            return is_open_to(route, name, client)
        if name == AUTO and table.auto is not None:
            return opens(table.auto.general)
        return client.may_use_adapter(name.partition("@")[0])

    return opens
