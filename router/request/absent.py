"""The explanation of a 404 for a model that the registry knows, for those who may know of it. Pure."""

from collections.abc import Mapping

from patchbay.core.errors import ModelNotFound
from patchbay.core.names import parse_reference
from patchbay.registry.records import AdapterView
from patchbay.router.tenants.clients import Client


def explained(error: ModelNotFound, adapters: Mapping[str, AdapterView], client: Client) -> ModelNotFound:
    """Returns `error`, with a hint where its model is in the registry and the client may use that adapter."""
    reference = parse_reference(error.model)
    view = adapters.get(reference.name) if reference is not None else None
    if reference is None or view is None or not client.may_use_adapter(view.name):
        return error
    if reference.number is None:
        return _because(error, f"No revision of it is in the channel 'stable': promote one ({view.name}@NUMBER).")
    if reference.number not in view.revisions:
        return error
    return _because(
        error,
        "It is in the registry, but not kept on replicas: they keep what a channel means, and what a route names. Ask "
        f"for '{view.name}', or have {view.name}@{reference.number} promoted or named in a route.",
    )


def _because(error: ModelNotFound, hint: str) -> ModelNotFound:
    return ModelNotFound(error.model, hint=hint)
