"""Models page: the bodies of `GET /v1/models`, made once for each snapshot and not for each request. Pure.

Source: https://platform.openai.com/docs/api-reference/models/object; `root`, `parent` and `max_model_len`, in
tokens, are vLLM's additions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from patchbay.router.fleet.snapshot import Catalog, ListedModel, Naming, Replica

_OWNER = "patchbay"
_NO_NAMES = Naming()
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Listing:
    """Bodies of `GET /v1/models` (`whole`) and of `GET /v1/models/{id}` (`by_id`)."""

    whole: bytes
    by_id: Mapping[str, bytes]


def build_listing(replicas: Sequence[Replica], created: int, naming: Naming = _NO_NAMES) -> Listing:
    """Lists what `replicas` serve, each model once: bases first, then adapters and their revisions by name and number.

    An adapter's bare name is listed with the meaning that `naming` gives it, and not at all where that is nothing.
    `created`: Unix time in seconds for models whose replica does not tell one. Failed and draining revisions are left
    out. A replica that is not ready keeps its models in the list: asking for one says "try again", not "not found".
    """
    ordered = sorted(replicas, key=lambda replica: replica.state != "ready")
    catalogs = [replica.catalog for replica in ordered if replica.catalog is not None]
    by_id: dict[str, bytes] = {}
    for model in [*_bases(catalogs, created), *_adapters(catalogs, created, naming)]:
        if model.id not in by_id:
            by_id[model.id] = _encode(_entry(model))
    return Listing(_page(by_id.values()), by_id)


def listed_for(listing: Listing, routes: Iterable[str], opens: Callable[[str], bool], created: int) -> Listing:
    """Makes `listing` as one client sees it.

    `routes`: names of the routes that it may call; `opens`: whether its key opens a bare model name; `created`: Unix
    time in seconds for routes.
    """
    shown = {name: body for name, body in listing.by_id.items() if opens(name.partition("@")[0])}
    for name in routes:
        shown[name] = _encode(_entry(ListedModel(id=name, created=created)))
    return Listing(_page(shown.values()), shown)


def _page(models: Iterable[bytes]) -> bytes:
    return b'{"object":"list","data":[' + b",".join(models) + b"]}"


def _bases(catalogs: Iterable[Catalog], created: int) -> list[ListedModel]:
    models: list[ListedModel] = []
    catalogs = list(catalogs)
    contexts = _contexts(catalogs)
    for catalog in catalogs:
        models.extend(catalog.models)
        if catalog.base is not None:
            context = contexts.get(catalog.base)
            models.append(ListedModel(id=catalog.base, created=created, root=catalog.source, context=context))
    return sorted(models, key=lambda model: (model.parent is not None, model.id))


def _contexts(catalogs: Iterable[Catalog]) -> dict[str, int]:
    """Returns the tokens that each base can hold: at the replica where those are fewest, since that may answer."""
    contexts: dict[str, int] = {}
    for catalog in catalogs:
        if catalog.base is not None and catalog.context is not None:
            contexts[catalog.base] = min(catalog.context, contexts.get(catalog.base, catalog.context))
    return contexts


def _adapters(catalogs: Iterable[Catalog], created: int, naming: Naming) -> Iterator[ListedModel]:
    """Yields each adapter, then its revisions from the oldest to the newest. An adapter's root is the revision that its
    name means: the newest, where the registry does not say."""
    catalogs = list(catalogs)
    contexts = _contexts(catalogs)
    parents = {
        (revision.adapter, revision.number): catalog.base
        for catalog in reversed(catalogs)
        for revision in catalog.revisions
        if revision.state not in ("draining", "failed")
    }
    newest = dict(sorted(parents))
    listed: set[str] = set()
    for adapter, number in sorted(parents):
        if adapter not in listed:
            listed.add(adapter)
            last = newest[adapter]
            root = _stable(adapter, naming) if adapter in naming.stable else f"{adapter}@{last}"
            if root is not None:
                yield _adapter_model(adapter, created, root, parents[adapter, last], contexts)
        name = f"{adapter}@{number}"
        yield _adapter_model(name, created, name, parents[adapter, number], contexts)


def _adapter_model(name: str, created: int, root: str, parent: str | None, contexts: Mapping[str, int]) -> ListedModel:
    return ListedModel(id=name, created=created, root=root, parent=parent, context=contexts.get(parent or ""))


def _stable(adapter: str, naming: Naming) -> str | None:
    engine_name = naming.stable[adapter]
    return engine_name.rpartition("-")[0] if engine_name else None


def _entry(model: ListedModel) -> dict[str, Any]:
    context = {} if model.context is None else {"max_model_len": model.context}
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": _OWNER,
        "root": model.id if model.root is None or _is_path(model.root) else model.root,
        "parent": model.parent,
        **context,
    }


def _is_path(root: str) -> bool:
    """Whether `root` is a path on a server's disk, which clients must not see, rather than a name on a hub."""
    return root.startswith(("/", "~", ".", "file:")) or "\\" in root or root[1:2] == ":"
