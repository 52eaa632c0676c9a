"""Actions of single rules, sets and kinds, where somebody asks what a guard does."""

from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.guards.config import GuardsConfig
from patchbay.guards.pipeline import compile_guards
from patchbay.router.canary.served import served_of
from patchbay.router.settings.config import PolicyConfig
from patchbay.router.settings.protection import losses

URL = "http://127.0.0.1:5002"


def policy(**guard: Any) -> PolicyConfig:
    return PolicyConfig.model_validate({"guards": {"g": guard}, "guard_all": ["g"]})


def rules(action: str = "redact", **keys: Any) -> dict[str, Any]:
    return {"kind": "rules", "sets": ["profanity"], "on": ["output"], "action": action, **keys}


def people(action: str = "flag", **keys: Any) -> dict[str, Any]:
    return {"kind": "entities", "url": URL, "on": ["output"], "action": action, **keys}


@pytest.mark.parametrize(
    ("guard", "counted"),
    [
        (rules("flag", rules={"profanity-mild": {"action": "redact"}}), {"": ["guards"]}),
        (rules("flag", rules={"profanity": {"action": "block"}}), {"": ["guards"]}),
        (rules("flag"), {"": []}),
        # All that it looks for has an action of its own.
        (rules("block", rules={"profanity": {"action": "flag"}}), {"": []}),
        (rules("block", rules={"profanity": {"action": "flag"}}, words=["no"]), {"": ["guards"]}),
        (rules("flag", rules={"profanity": {"action": "block"}}, dry_run=True), {"": []}),
        (rules("flag", rules={"profanity": {"action": "block"}}, tenants={"t": {"action": "flag"}}), {"": ["guards"], "t": []}),
        (rules("flag", rules={"profanity": {"action": "block"}}, tenants={"t": {"off": True}}), {"": ["guards"], "t": []}),
        (people("flag", kinds={"PERSON": "redact", "LOCATION": None}), {"": ["guards"]}),
        (people("redact", kinds={"PERSON": None}), {"": ["guards"]}),
        (people("flag", kinds=["PERSON"]), {"": []}),
    ],
)  # fmt: skip
def test_a_canary_is_told_of_what_a_guard_counts_by_its_own_action_alone(
    guard: dict[str, Any], counted: dict[str, list[str]]
) -> None:
    assert served_of(policy(**guard), votes=False, pools=()).found == counted


WEAKER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (rules(), rules(rules={"profanity-mild": {"action": "flag"}}), "rules"),
    (rules(), rules(rules={"profanity": {"action": "flag"}}), "rules"),
    (rules(rules={"profanity-mild": {"action": "block"}}), rules(), "rules"),
    (rules(), rules(rules={"profanity-mild": {"confidence": 1}}), "rules"),
    (rules(), rules(confidence=0.95), "confidence"),
    (rules(sets=["pii"], confidence=0.1), rules(sets=["pii"], confidence=0.5), "confidence"),
    (
        rules(sets=["pii"], rules={"pii": {"confidence": 0.1}}),
        rules(sets=["pii"], rules={"pii": {"confidence": 0.5}}),
        "rules",
    ),
    (rules(), rules(allow={"patterns": ["x"]}), "allow"),
    (rules(regions=["DE", "FR"]), rules(regions=["DE"]), "regions"),
    (people(kinds={"PERSON": "redact", "LOCATION": None}), people(kinds={"PERSON": None, "LOCATION": None}), "kinds"),
    (people(kinds=["PERSON", "LOCATION"]), people(kinds=["PERSON"]), "kinds"),
    # An action of a tenant counts for all rules.
    (
        rules("flag", rules={"profanity": {"action": "block"}}),
        rules("flag", rules={"profanity": {"action": "block"}}, tenants={"t": {"action": "flag"}}),
        "tenants.t",
    ),
    (
        rules("block", rules={"profanity-mild": {"action": "flag"}}, tenants={"t": {"action": "block"}}),
        rules("block", rules={"profanity-mild": {"action": "flag"}}),
        "tenants.t",
    ),
]


@pytest.mark.parametrize(("before", "now", "place"), WEAKER)
def test_less_protection_by_single_rules_goes_unsaid(before: dict[str, Any], now: dict[str, Any], place: str) -> None:
    told = losses(policy(**before), policy(**now))
    assert [one.place for one in told] == [f"guards.g.{place}"]
    assert not losses(policy(**now), policy(**before)), "the other way more is protected"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        # What a set said of the rule already, and what a rule said that its set says now.
        (rules(rules={"profanity": {"action": "flag"}}), rules(rules={"profanity": {"action": "flag"}, "profanity-mild": {"action": "flag"}})),
        (rules(), rules(rules={"profanity-mild": {"action": "redact"}})),
        (people(kinds={"PERSON": "flag", "LOCATION": None}), people(kinds=["PERSON", "LOCATION"])),
    ],
)  # fmt: skip
def test_the_same_said_otherwise_is_a_loss(before: dict[str, Any], now: dict[str, Any]) -> None:
    assert not losses(policy(**before), policy(**now))


def guards(masking: dict[str, Any], redacting: dict[str, Any]) -> GuardsConfig:
    both = {"m": {"kind": "rules", "on": ["input"], **masking}, "r": {"kind": "rules", **redacting}}
    return GuardsConfig.model_validate({"guards": both, "guard_all": ["m", "r"]})


NOTHING_LEFT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"sets": ["profanity"], "action": "mask"}, {"sets": ["profanity"], "action": "redact"}, "action"),
    (
        {"sets": ["profanity"], "action": "flag", "rules": {"profanity-mild": {"action": "mask"}}},
        {"sets": ["profanity"], "action": "redact"},
        "rules",
    ),
    (
        {"sets": ["profanity"], "action": "flag", "rules": {"profanity-mild": {"action": "mask"}}},
        {"sets": ["profanity"], "action": "flag", "rules": {"profanity-mild": {"action": "redact"}}},
        "rules",
    ),
]


@pytest.mark.parametrize(("masking", "redacting", "place"), NOTHING_LEFT)
def test_a_mask_of_what_is_redacted_is_taken(masking: dict[str, Any], redacting: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=f"'guards.m.{place}': .* nothing is left to mask"):
        compile_guards(guards(masking, redacting), (), None, None)


def test_a_mask_of_what_a_rule_leaves_alone_is_refused() -> None:
    redacting = {"sets": ["profanity"], "action": "redact", "rules": {"profanity-mild": {"action": "flag"}}}
    compile_guards(guards({"sets": ["profanity"], "action": "mask"}, redacting), (), None, None)
