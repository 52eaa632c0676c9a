"""Settings of built-in rules: how sure they must be, what each does, what is left alone, and regions."""

import hashlib
import json
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from patchbay.core.errors import ConfigError
from patchbay.guards.check import guard_faults
from patchbay.guards.config import GuardsConfig
from patchbay.guards.pipeline import Guards
from patchbay.guards.rules.catalog import SETS
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import expressions_of
from patchbay.guards.stream.channel import Channel
from patchbay.router.cli.guards import app


def found(text: str, tenant: str = "", **fields: Any) -> list[tuple[str, str, str]]:
    """The rule, the text and the action of what one guard finds."""
    guard = {"kind": "rules", "sets": ["pii"], "action": "redact", **fields}
    config = GuardsConfig.model_validate({"guards": {"g": guard}, "guard_all": ["g"]})
    if faults := list(guard_faults(config, None)):
        raise ConfigError(f"{faults}")
    pipeline = Guards(config, lambda rules: Re2Scanner(expressions_of(rules)), None).pipeline((), tenant)
    assert pipeline is not None
    channel = Channel(pipeline.watches("output", None, escaped=False), lambda span: f"[{span.kind}]")
    spans = [*channel.feed(text).spans, *channel.finish().spans]
    return [(span.rule, text[span.start : span.end], span.action) for span in spans]


def test_a_bare_number_counts_where_less_confidence_will_do() -> None:
    assert found("it is 536228714 then") == []
    assert ("us-ssn-named", "536228714", "redact") in found("it is 536228714 then", confidence=0.1)
    assert ("us-ssn-named", "536228714", "redact") in found(
        "it is 536228714 then", rules={"us-ssn-named": {"confidence": 0.1}}
    )


def test_less_sure_rules_are_left_out_where_more_confidence_is_asked_for() -> None:
    assert found("born on 1985-04-12") != []
    assert found("born on 1985-04-12", confidence=0.85) == []
    assert found("mail jane@example.org", confidence=0.85) != []
    assert found("mail jane@example.org", rules={"pii": {"confidence": 1}}) == []
    assert found("mail jane@example.org", rules={"pii": {"confidence": 1}, "email": {"confidence": 0.5}}) != []


def test_a_rule_and_a_set_have_actions_of_their_own() -> None:
    text = "jane@example.org, 4111 1111 1111 1111"
    actions = {
        rule: action
        for rule, _, action in found(text, rules={"pii": {"action": "flag"}, "email": {"action": "redact"}})
    }
    assert actions == {"email": "redact", "card-16": "flag"}


def test_a_dry_run_and_a_tenants_action_go_before_a_rules() -> None:
    rules = {"email": {"action": "block"}}
    assert [action for _, _, action in found("jane@example.org", rules=rules, dry_run=True)] == ["flag"]
    tenants = {"acme": {"action": "flag"}}
    assert [action for _, _, action in found("jane@example.org", "acme", rules=rules, tenants=tenants)] == ["flag"]
    assert [action for _, _, action in found("jane@example.org", rules=rules, tenants=tenants)] == ["block"]
    same = {"acme": {"action": "redact"}}
    assert [action for _, _, action in found("jane@example.org", "acme", rules=rules, tenants=same)] == ["redact"]


@pytest.mark.parametrize(
    "allow",
    [
        {"patterns": ["support@.*"]},
        {"domains": ["example.org"]},
        {"hashes": [hashlib.sha256(b"support@mail.example.org").hexdigest()]},
    ],
)
def test_what_is_allowed_is_left_alone_and_nothing_else_is(allow: dict[str, Any]) -> None:
    text = "support@mail.example.org or jane@example.com"
    assert found(text, allow=allow) == [("email", "jane@example.com", "redact")]


def test_a_hash_is_of_the_letters_and_digits_too() -> None:
    digest = hashlib.sha256(b"4111111111111111").hexdigest()
    assert found("4111 1111 1111 1111", allow={"hashes": [digest]}) == []
    assert found("5555 5555 5555 4444", allow={"hashes": [digest]}) != []


@pytest.mark.parametrize("domain", ["example.org", ".example.org", "EXAMPLE.org"])
def test_ones_own_domain_is_a_whole_name(domain: str) -> None:
    allow = {"domains": [domain]}
    assert found("a1@example.org, b@x.example.org", allow=allow) == []
    assert found("a1@notexample.org", allow=allow) != []
    assert found("https://example.org.evil.example/x", sets=["urls"], allow=allow) != []
    assert found("https://www.example.org:8080/x", sets=["urls"], allow=allow) == []


def test_regions_say_whose_numbers_are_found() -> None:
    assert found("Phone: 612 34 56 78", regions=["ES"]) != []
    assert found("Phone: 612 34 56 78", regions=["US"]) == []
    assert found("(202) 555-0143", regions=["SG"]) == []
    assert found("+1 202 555 0143", regions=["SG"]) != []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rules": {"emial": {"action": "flag"}}}, "'emial'"),
        ({"rules": {"secrets": {"action": "flag"}}}, "'secrets'"),
        ({"regions": ["UK"]}, "'UK'"),
    ],
)
def test_names_that_there_are_not_are_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        found("", **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"rules": {"email": {}}},
        {"rules": {"email": {"action": "route"}}},
        {"rules": {"email": {"action": "mask"}}},
        {"allow": {"patterns": ["("]}},
        {"allow": {"hashes": ["abc"]}},
        {"confidence": 2},
    ],
)
def test_what_would_do_nothing_or_cannot_be_used_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        found("", **fields)


def test_the_list_of_rules_has_each_with_what_it_needs() -> None:
    run = CliRunner().invoke(app, ["rules", "--json"])
    assert run.exit_code == 0
    rules = {rule["name"]: rule for rule in json.loads(run.output)}
    assert len(rules) == sum(map(len, SETS.values()))
    assert rules["us-ssn-named"]["country"] == "US"
    assert rules["us-ssn-named"]["needs"] == ["check", "words before it", "stands apart"]
    assert "ssn" in rules["us-ssn-named"]["words"]
    assert {rule["set"] for rule in rules.values()} == set(SETS)


def test_the_list_of_rules_is_of_one_set_or_tells_that_there_is_none() -> None:
    run = CliRunner().invoke(app, ["rules", "--set", "dates", "--json"])
    assert [rule["kind"] for rule in json.loads(run.output)] == ["DATE"]
    assert CliRunner().invoke(app, ["rules", "--set", "dats"]).exit_code == 2
    assert "email" in CliRunner().invoke(app, ["rules"]).output
