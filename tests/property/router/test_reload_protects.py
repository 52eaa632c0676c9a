"""A configuration that is read anew: refused, or nothing that protects is lost."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import ConfigError
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.policy import accepted, check_kept, read_router_file
from patchbay.router.settings.protection import losses

LIMITS: dict[str, Any] = {"requests_per_minute": 30, "tokens_per_minute": 2000, "concurrent": 2}
WHOLE: dict[str, Any] = {
    "guards": {
        "pii": {"kind": "rules", "sets": ["pii", "secrets"], "on": ["input", "output"], "action": "redact"},
        "house": {"kind": "rules", "patterns": {"case": r"\bCASE-[0-9]{6}\b"}, "words": ["no"], "action": "block"},
        "jail": {"kind": "injection", "threshold": 0.4, "tenants": {"lax": {"dry_run": True}}},
    },
    "guard_all": ["house", "jail"],
    "tiers": {"default": {"weight": 1, "limits": LIMITS}, "tok": {"limits": {"tokens_per_minute": 300}}},
    "prices": {"default": {"prompt": 1.0, "answer": 2.0}},
    "auto": {"general": "plain", "rules": [{"route": "guarded", "pattern": "^ticket:"}]},
    "routes": {
        "plain": {"model": "base", "requests_per_minute": 90},
        "guarded": {"model": "base", "guards": ["pii", "house"], "limits": {"max_tokens": 20, "temperature": 1}},
        "priv": {"model": "base", "tenants": ["acme", "other"]},
    },
}
ACTIONS = ("flag", "redact", "block")


def policy_of(folder: Path, text: str) -> PolicyConfig:
    file = folder / "router.yaml"
    file.write_text(text)
    return read_router_file(file)


def pieces(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each key and each item."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*place, key)
        yield from pieces(value[key], (*place, key))


def without(place: tuple[Any, ...]) -> dict[str, Any]:
    made = copy.deepcopy(WHOLE)
    inner: Any = made
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    # A mapping or a list that is there and empty is a word.
    return made if inner or len(place) == 1 else without(place[:-1])


def protected(config: PolicyConfig) -> set[tuple[str, ...]]:
    """What a configuration keeps from whom, said apart from how losses are found."""
    found: set[tuple[str, ...]] = {("guard_all", name) for name in config.guard_all}
    for name, route in config.routes.items():
        found |= {("guard", name, guard) for guard in (*route.guards, *config.guard_all)}
        found |= {("closed", name, tenant) for tenant in ("acme", "other", "rival") if tenant not in route.tenants}
        found |= {("closed", name)} if route.tenants else set()
        found |= {("most", name, key, str(value)) for key, value in route.limits if value is not None}
        found |= {("minute", name, str(route.requests_per_minute))}
    for name in ("default", "tok"):
        found |= {("limit", name, key, str(value)) for key, value in config.tier(name).limits if value is not None}
    for name, guard in config.guards.items():
        found |= {
            ("finds", name, str(value)) for key in ("sets", "patterns", "words") for value in getattr(guard, key, ())
        }
        found |= {("on", name, side) for side in guard.on}
        found |= {("action", name, action) for action in ACTIONS[: ACTIONS.index(guard.action) + 1]}
    return found


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_file_that_lost_a_piece_is_read_anew_without_what_it_protected(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    order = data.draw(st.permutations(list(WHOLE)))
    text = yaml.safe_dump({name: WHOLE[name] for name in order}, sort_keys=False)
    before = policy_of(folder, text)
    lines = text.splitlines(keepends=True)
    if data.draw(st.booleans()):
        cut = "".join(lines[: data.draw(st.integers(0, len(lines) - 1))])
    else:
        cut = yaml.safe_dump(without(data.draw(st.sampled_from(list(pieces(WHOLE))))), sort_keys=False)
    try:
        now = policy_of(folder, cut)
        check_kept(before, now, source="router.yaml")
    except ConfigError:
        return
    gone = {one for one in protected(before) - protected(now) if one[1] in {*now.routes, "default", "tok", *now.guards}}
    assert not gone


@pytest.mark.parametrize("name", ["guard_all", "tiers", "prices"])
def test_a_file_that_has_lost_a_whole_part_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    before = policy_of(tmp_path, yaml.safe_dump(WHOLE))
    now = policy_of(tmp_path, yaml.safe_dump(without((name,))))
    with pytest.raises(ConfigError, match=f"there is no '{name}' in it"):
        check_kept(before, now, source="router.yaml")


CASES: dict[str, tuple[tuple[str, ...], Any]] = {
    "routes.guarded.guards": (("routes", "guarded", "guards"), ["house"]),
    "routes.priv.tenants": (("routes", "priv", "tenants"), ["acme", "other", "rival"]),
    "routes.guarded.limits.max_tokens": (("routes", "guarded", "limits", "max_tokens"), 21),
    "routes.plain.requests_per_minute": (("routes", "plain", "requests_per_minute"), 91),
    "tiers.tok.limits.tokens_per_minute": (("tiers", "tok", "limits"), {"tokens_per_minute": 301}),
    "guards.house.action": (("guards", "house", "action"), "flag"),
    "guards.pii.dry_run": (("guards", "pii", "dry_run"), True),
    "guards.pii.on": (("guards", "pii", "on"), ["input"]),
    "guards.pii.sets": (("guards", "pii", "sets"), ["pii"]),
    "guards.pii.without": (("guards", "pii", "without"), ["EMAIL"]),
    "guards.house.patterns": (("guards", "house", "patterns"), {"case": "x"}),
    "guards.jail.threshold": (("guards", "jail", "threshold"), 0.9),
    "guards.jail.document_threshold": (("guards", "jail", "document_threshold"), 0.9),
    "guards.jail.tenants.acme": (("guards", "jail", "tenants", "acme"), {"off": True}),
    "guard_all": (("guard_all",), ["house"]),
    "auto.rules": (("auto", "rules"), []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_weaker_is_taken_without_the_word_that_the_refusal_names(name: str, tmp_path: Path) -> None:
    place, value = CASES[name]
    changed = copy.deepcopy(WHOLE)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    before, now = policy_of(tmp_path, yaml.safe_dump(WHOLE)), policy_of(tmp_path, yaml.safe_dump(changed))
    with pytest.raises(ConfigError, match="less would be protected") as refused:
        check_kept(before, now, source="router.yaml")
    assert f"accept_weaker: [{name}]" in str(refused.value)
    meant = policy_of(tmp_path, yaml.safe_dump(changed | {"accept_weaker": [name]}))
    check_kept(before, meant, source="router.yaml")
    assert [one.partition(" ")[0] for one in accepted(before, meant)] == [name]
    if name != "guards.house.patterns":
        assert not losses(now, before), "the other way more is protected"


def test_what_is_said_to_be_empty_at_its_place_is_refused(tmp_path: Path) -> None:
    before = policy_of(tmp_path, yaml.safe_dump(WHOLE))
    changed = copy.deepcopy(WHOLE)
    changed["routes"]["guarded"]["guards"] = []
    changed["routes"]["priv"]["tenants"] = []
    changed["routes"]["guarded"]["limits"] = {}
    changed["tiers"]["tok"]["limits"] = {}
    check_kept(before, policy_of(tmp_path, yaml.safe_dump(changed)), source="router.yaml")


@pytest.mark.parametrize(
    "more",
    ["tiers: {}\n", "guards:\n  pii: {kind: rules, sets: [pii]}\n  pii: {kind: refusal}\n", "routes: {a: b, a: c}\n"],
)
def test_a_key_that_stands_twice_takes_the_first_away(more: str, tmp_path: Path) -> None:
    text = f"tiers: {{default: {{weight: 1}}}}\n{more}"
    with pytest.raises(ConfigError, match=r"line \d, column \d+.* twice"):
        policy_of(tmp_path, text)


def test_a_merge_of_a_mapping_with_own_keys_is_no_key_twice(tmp_path: Path) -> None:
    text = "routes:\n  a: &a {model: m, tenants: [acme]}\n  b: {<<: *a, model: n}\n"
    assert policy_of(tmp_path, text).routes["b"].tenants == ("acme",)
