"""Losses of protection in a configuration that is read anew: guards, who may ask, limits. Pure.

A file that is half written looks like one that means it, so nothing of this goes without a word in the file: what is
empty says so at its place (`guards: []`), and what is weaker is named in `accept_weaker`.
"""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from patchbay.core.settings import Settings
from patchbay.core.tenancy import DEFAULT_TIER, Limits
from patchbay.guards.base_config import GuardBase, Override
from patchbay.guards.check import actions_by_rule
from patchbay.guards.config import AllowConfig, OwnPattern, RulesGuard
from patchbay.guards.entities.config import EntitiesGuard
from patchbay.router.routes.config import RouteConfig, Sampling
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.tenants.config import FREE, PriceConfig, TierConfig

_STRENGTH: Final = {"flag": 0, "mask": 1, "route": 1, "redact": 1, "block": 2}
_MOST_TOLD: Final = 3
_NO_TOP_K = (-1, 0)
# Words of a guard's keys with which it finds or does less.
_WEAK_WORDS: Mapping[str, object] = {"on_error": "fail_open", "mode": "optimistic", "caseless": False, "dry_run": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A protection that is lost or weaker. `place`: its name, which `accept_weaker` may name; `what`: in words."""

    place: str
    what: str


def losses(before: PolicyConfig, now: PolicyConfig) -> tuple[Loss, ...]:
    """Returns what `now` protects less than `before`, but for what it says to be empty at its place."""
    return (
        *_routes(before, now),
        *_auto(before, now),
        *_guards(before, now),
        *_tiers(before, now),
        *_prices(before, now),
    )


def is_emptied(settings: Settings, key: str) -> bool:
    """Whether a configuration says that there is nothing of `key`."""
    return key in settings.model_fields_set and not getattr(settings, key)


def _routes(before: PolicyConfig, now: PolicyConfig) -> Iterator[Loss]:
    if is_emptied(now, "routes"):
        return
    for name, old in before.routes.items():
        new, place = now.routes.get(name), f"routes.{name}"
        if new is None:
            if old.guards or old.tenants or old.requests_per_minute is not None or old.limits != Sampling():
                yield Loss(
                    place=place,
                    what="is gone, and a model or an adapter of that name would be open without what it had",
                )
            continue
        yield from _route(place, old, new, now)


def _route(place: str, old: RouteConfig, new: RouteConfig, now: PolicyConfig) -> Iterator[Loss]:
    gone = set(old.guards) - {*new.guards, *now.guard_all}
    if gone and not is_emptied(new, "guards") and not is_emptied(now, "guards"):
        yield Loss(place=f"{place}.guards", what=f"loses {_names(gone)}")
    yield from _askers(f"{place}.tenants", old, new)
    if _is_looser(old.requests_per_minute, new.requests_per_minute):
        yield Loss(place=f"{place}.requests_per_minute", what=_raised(old.requests_per_minute, new.requests_per_minute))
    yield from _sampling(f"{place}.limits", old.limits, new)


def _askers(place: str, old: RouteConfig, new: RouteConfig) -> Iterator[Loss]:
    if not old.tenants or is_emptied(new, "tenants"):
        return
    if not new.tenants:
        yield Loss(place=place, what=f"would be open to every tenant, and not to {_names(old.tenants)} only")
    elif added := set(new.tenants) - set(old.tenants):
        yield Loss(place=place, what=f"would be open to {_names(added)}, too")


def _sampling(place: str, old: Sampling, route: RouteConfig) -> Iterator[Loss]:
    new = route.limits
    if "limits" in route.model_fields_set and new == Sampling():
        return
    for key in Sampling.model_fields:
        was, is_ = getattr(old, key), getattr(new, key)
        if key == "top_k":
            was, is_ = (None if value in _NO_TOP_K else value for value in (was, is_))
        if key != "seed" and _is_looser(was, is_):
            yield Loss(place=f"{place}.{key}", what=_raised(was, is_))


def _auto(before: PolicyConfig, now: PolicyConfig) -> Iterator[Loss]:
    if before.auto is None or now.auto is None:
        return
    kept = set(before.routes)
    for rule in before.auto.rules:
        if rule not in now.auto.rules and rule.route in kept and before.routes[rule.route].guards:
            yield Loss(place="auto.rules", what=f"has no rule any more that leads to '{rule.route}', which has guards")
            kept.discard(rule.route)
    old, new = before.routes[before.auto.general], now.routes[now.auto.general]
    if before.auto.general != now.auto.general and (gone := set(old.guards) - {*new.guards, *now.guard_all}):
        yield Loss(place="auto.general", what=f"loses {_names(gone)}")


def _guards(before: PolicyConfig, now: PolicyConfig) -> Iterator[Loss]:
    gone = set(before.guard_all) - set(now.guard_all)
    if gone and not is_emptied(now, "guard_all") and not is_emptied(now, "guards"):
        yield Loss(place="guard_all", what=f"loses {_names(gone)}")
    for name, old in before.guards.items():
        new = now.guards.get(name)
        if new is not None:
            yield from (Loss(place=f"guards.{name}.{key}", what=what) for key, what in _guard(old, new))


def _guard(old: GuardBase, new: GuardBase) -> Iterator[tuple[str, str]]:
    if type(old) is not type(new):
        yield "kind", "is another one"
        return
    if _STRENGTH[new.action] < _STRENGTH[old.action]:
        yield "action", f"is {new.action}, and was {old.action}"
    if isinstance(old, RulesGuard) and isinstance(new, RulesGuard):
        yield from _rules(old, new)
    if isinstance(old, EntitiesGuard) and isinstance(new, EntitiesGuard):
        yield from _kinds(old, new)
    for key in type(old).model_fields:
        was, is_ = getattr(old, key), getattr(new, key)
        if was != is_ and _is_weaker(key, was, is_):
            yield key, "finds or does less than before"
    yield from _overrides(old, new)


def _rules(old: RulesGuard, new: RulesGuard) -> Iterator[tuple[str, str]]:
    """Yields what is lost by what a guard says of single rules and sets."""
    if old.rules == new.rules:
        return
    now, lost = actions_by_rule("", new), list[str]()
    for name, (rule, action) in actions_by_rule("", old.model_copy(update=_others_of(new))).items():
        own = now.get(name)
        if own is None or _STRENGTH[own[1]] < _STRENGTH[action] or (rule.near is None and own[0].near is not None):
            lost.append(name)
    if lost:
        yield "rules", f"finds less, or does less about what it finds, by {_some(lost)}"


def _others_of(new: RulesGuard) -> Mapping[str, object]:
    """Returns the keys by which a guard may lose rules, too, and which are compared by themselves."""
    return {key: getattr(new, key) for key in ("sets", "without", "regions", "confidence", "action", "patterns")}


def _kinds(old: EntitiesGuard, new: EntitiesGuard) -> Iterator[tuple[str, str]]:
    """Yields what is lost by the kinds that a guard looks for, and by what it does about them."""
    if old.kinds == new.kinds:
        return
    now = new.actions_by_kind(new.action, overridden=False)
    # The guard's own action is compared by itself.
    was = old.actions_by_kind(new.action, overridden=False)
    if lost := [kind for kind, action in was.items() if kind not in now or _STRENGTH[now[kind]] < _STRENGTH[action]]:
        yield "kinds", f"looks for less, or does less about what it finds, by {_some(lost)}"


def _overrides(old: GuardBase, new: GuardBase) -> Iterator[tuple[str, str]]:
    for tenant, override in new.tenants.items():
        if _lets_off(new, override) and override != old.tenants.get(tenant):
            yield f"tenants.{tenant}", "does less for that tenant than before"
    for tenant, override in old.tenants.items():
        if tenant in new.tenants:
            continue
        if override.action is None:
            is_less = _STRENGTH[old.action] > _STRENGTH[new.action]
        else:
            is_less = _STRENGTH[override.action] > min(_STRENGTH[action] for action in new.own_actions)
        if is_less:
            yield f"tenants.{tenant}", f"is gone, which made it {override.action or old.action}"


def _is_weaker(key: str, was: Any, is_: Any) -> bool:
    weaker = _WEAKER.get(key)
    return weaker(was, is_) if weaker is not None else key in _WEAK_WORDS and is_ == _WEAK_WORDS[key]


def _is_narrower(was: Collection[str], is_: Collection[str]) -> bool:
    """Whether less counts than did, where an empty list means everything."""
    return bool(is_) and not (was and set(was) <= set(is_))


def _holds(was: Any, is_: Any) -> bool:
    """Whether all that was looked for still is."""
    if isinstance(was, Mapping) and isinstance(is_, Mapping):
        return was.items() <= is_.items()
    if isinstance(was, tuple) and isinstance(is_, tuple):
        return set(was) <= set(is_)
    return False


def _expressions(patterns: Mapping[str, OwnPattern]) -> Mapping[str, str]:
    """Returns what patterns look for, without their examples."""
    return {name: own.pattern for name, own in patterns.items()}


def _lets_off(guard: GuardBase, override: Override) -> bool:
    strongest = max(_STRENGTH[action] for action in guard.own_actions)
    weaker = override.action is not None and _STRENGTH[override.action] < strongest
    return override.off or weaker or (bool(override.dry_run) and not guard.dry_run)


def _tiers(before: PolicyConfig, now: PolicyConfig) -> Iterator[Loss]:
    if is_emptied(now, "tiers"):
        return
    for name, tier in before.tiers.items():
        own = now.tiers.get(name)
        if own is not None and "limits" in own.model_fields_set and own.limits == Limits():
            continue
        limits = (own or now.tiers.get(DEFAULT_TIER) or TierConfig()).limits
        for key in Limits.model_fields:
            was, is_ = getattr(tier.limits, key), getattr(limits, key)
            if _is_looser(was, is_):
                yield Loss(place=f"tiers.{name}.limits.{key}", what=_raised(was, is_))


def _prices(before: PolicyConfig, now: PolicyConfig) -> Iterator[Loss]:
    """Whether something costs nothing any more: then no limit of money is ever reached."""
    if is_emptied(now, "prices"):
        return
    for name, old in before.prices.items():
        new: PriceConfig = now.price(name)
        if name not in now.prices and (new.prompt < old.prompt or new.answer < old.answer):
            yield Loss(place=f"prices.{name}", what="is gone" if new != FREE else "is gone, so that it costs nothing")


def _is_looser(was: float | None, is_: float | None) -> bool:
    return was is not None and (is_ is None or is_ > was)


def _raised(was: float | None, is_: float | None) -> str:
    return f"is gone, and was {was:g}" if is_ is None else f"is {is_:g}, and was {was:g}"


def _some(names: Sequence[str]) -> str:
    """Returns the first of some names, and how many more there are."""
    more = len(names) - _MOST_TOLD
    return _names(names[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def _names(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


# Whether another value of a guard's key finds or does less than before.
_WEAKER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    **dict.fromkeys(("threshold", "document_threshold", "min_score", "min_chars", "confidence"), operator.lt),
    **dict.fromkeys(("share", "document_chars"), operator.gt),
    **dict.fromkeys(("on", "sets", "words", "regions"), lambda was, is_: not _holds(was, is_)),
    "allow": lambda was, is_: any(
        not set(getattr(is_, key)) <= set(getattr(was, key)) for key in AllowConfig.model_fields
    ),
    "patterns": lambda was, is_: not _holds(_expressions(was), _expressions(is_)),
    "without": lambda was, is_: not set(is_) <= set(was),
    "entities": _is_narrower,
    "json_schema": lambda was, _: bool(was),
}
