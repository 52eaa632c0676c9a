"""Whether a canary's scope can reach anybody. Pure."""

import difflib
from collections.abc import Collection

from patchbay.router.canary.plan import ScopeConfig


def fault_of(scope: ScopeConfig, words: Collection[str], tenants: Collection[str] | None) -> str | None:
    """Why a canary's scope can reach nobody, None where it can. `words`: what its clients may name: routes and the
    adapter, or any model of a pool; `tenants`: those that there are, None where that is not known."""
    for key, value, known in (("route", scope.route, words), ("tenant", scope.tenant, tenants)):
        if value is not None and known is not None and value not in known:
            near = difflib.get_close_matches(value, known, 1)
            meant = f"; did you mean '{near[0]}'?" if near else ""
            return f"the plan's scope names the {key} '{value}', which is not there{meant}"
    return None
