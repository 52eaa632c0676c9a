"""Roles on the admin port, as FastAPI's dependencies."""

from fastapi import Request

from patchbay.router.tenants.role_keys import Caller, Role, RoleRing

TOKEN = "token"  # noqa: S105 - the parameter's name


class Allowed:
    """Provides one dependency for each role. It returns the caller, and raises Unauthorized or Forbidden."""

    def __init__(self, keys: RoleRing) -> None:
        self._keys = keys

    async def viewer(self, request: Request) -> Caller:
        """Requires a caller who may look."""
        return self._caller(request, "viewer")

    async def publisher(self, request: Request) -> Caller:
        """Requires a caller who may push, too."""
        return self._caller(request, "publisher")

    async def operator(self, request: Request) -> Caller:
        """Requires a caller who may move channels, too."""
        return self._caller(request, "operator")

    async def admin(self, request: Request) -> Caller:
        """Requires a caller who may do everything."""
        return self._caller(request, "admin")

    def _caller(self, request: Request, needed: Role) -> Caller:
        # A browser can only send the token in the address. Changes come from programs, which can send a header.
        in_query = request.query_params.get(TOKEN) if request.method == "GET" else None
        caller = self._keys.identify(request.scope["headers"], in_query)
        caller.check(needed)
        return caller
