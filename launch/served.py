"""The models that a run serves once it is ready, and the reasons for those that it does not, from its registry."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from patchbay.adapters.config import RegistryConfig
from patchbay.adapters.standing import Standing, read_standings
from patchbay.core.errors import RegistryError, StartError
from patchbay.launch.events import ReadyReport
from patchbay.registry.registry import Registry

_HINT: Final = "Without any adapter the base is served: leave them out of the configuration, or correct them."


def report_of_served(report: ReadyReport, config: RegistryConfig, declared: Collection[str]) -> ReadyReport:
    """Returns `report` with the adapters that are served, and the reasons for those that are not.

    `declared`: the adapters of the configuration. Raises StartError where it declares some, no adapter at all is
    served, and those that are declared have failed for good.
    """
    try:
        with Registry.open(config.url.get_secret_value(), migrate=False) as registry:
            found = read_standings(registry, declared)
    except RegistryError as error:
        return replace(report, remarks={"registry": f"nobody can tell what is served: {error.message}"})
    _check_any(found, declared)
    return with_standings(report, found)


def with_standings(report: ReadyReport, found: Sequence[Standing]) -> ReadyReport:
    """Returns `report` with what `found` says: those that are declared first, in the order of the configuration."""
    order = {name: place for place, name in enumerate(report.adapters)}
    ordered = sorted(found, key=lambda one: (order.get(one.adapter, len(order)), one.adapter))
    return replace(
        report,
        adapters=tuple(one.adapter for one in ordered if one.served),
        not_served={one.adapter: one.reason or "" for one in ordered if not one.served},
        remarks={one.adapter: one.reason for one in ordered if one.served and one.reason},
    )


def _check_any(found: Sequence[Standing], declared: Collection[str]) -> None:
    """Raises StartError where adapters are declared and no adapter is served, nor will be by waiting."""
    if not declared or any(one.served or (one.adapter in declared and not one.final) for one in found):
        return
    reasons = "; ".join(f"{one.adapter}: {one.reason}" for one in found if one.adapter in declared)
    raise StartError(f"No adapter can be served: {reasons}.", hint=_HINT)
