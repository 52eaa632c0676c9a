"""The span of an assignment is its value: what is left out of a document leaves the document whole."""

import json

import pytest

from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.tokens import ANY, HEX
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch

RULES = RuleSet([GuardRule(rule, "secrets", "redact") for rule in SECRETS], load_scanner(SECRETS, None))


def redacted(text: str, size: int, *, is_json: bool = False, rules: RuleSet = RULES) -> str:
    """What comes out of a text that comes in pieces of `size` characters."""
    channel = Channel([RulesWatch(rules, escaped=is_json)], lambda span: f"[{span.kind}]", is_json=is_json)
    parts = [channel.feed(text[at : at + size]).text for at in range(0, len(text), size)]
    return "".join([*parts, channel.finish().text])


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"api_key": ANY, "n": 1}, "api_key"),
        ({"n": [1], "password": "c0rrect-" + "Horse/9battery"}, "password"),
        ({"AWS_SECRET_ACCESS_KEY": ANY * 2 + "q/R+t8Uv", "b": None}, "AWS_SECRET_ACCESS_KEY"),
        ({"datadog": HEX * 2}, "datadog"),
    ],
)
def test_the_key_and_the_quotes_of_a_secret_stay(
    document: dict[str, object], key: str, is_json: bool, size: int
) -> None:
    out = json.loads(redacted(json.dumps(document), size, is_json=is_json))
    assert out == {**document, key: "[SECRET]"}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("API_KEY=" + ANY + "\nPORT=80", "API_KEY=[SECRET]\nPORT=80"),
        ("Server=db;" + "Password=s3cr3t;" + "Database=app", "Server=db;Password=[SECRET];Database=app"),
        ("postgres://" + "app:s3cr3t-w0rd" + "@db.example.com/app", "postgres://[URL_CREDENTIALS]@db.example.com/app"),
        ("AccountKey=" + ANY * 5 + "q+R/t8" + "==;Endpoint=x", "AccountKey=[SECRET];Endpoint=x"),
        ("https://a.example/b?sig=" + ANY * 2 + "%2B" * 11 + "%3D&se=1", "https://a.example/b?sig=[SECRET]&se=1"),
    ],
)
def test_what_stands_around_a_value_stays(text: str, shown: str, size: int) -> None:
    assert redacted(text, size) == shown


BEGIN, END = "-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----"
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {BEGIN}\n{LINE}\n{LINE}\nabcd==\n{END} and more", "key [PRIVATE_KEY] and more"),
        (f"key {BEGIN}\r\n{LINE}\r\n\r\n  {END}\r\nmore", "key [PRIVATE_KEY]\r\nmore"),
        (f"key {BEGIN} {LINE} abcd {END} and more", "key [PRIVATE_KEY] and more"),
        (f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n{LINE}\n{END}.", "[PRIVATE_KEY]."),
        # Keys that never end: up to the first line that is none of theirs.
        (f"{BEGIN}\n{LINE}\nThat is all, folks.\n{LINE}", f"[PRIVATE_KEY]\nThat is all, folks.\n{LINE}"),
        (f"{BEGIN}\n{LINE}\n{LINE} is what it says", "[PRIVATE_KEY] is what it says"),
        (f"{BEGIN}\n{LINE}\n{LINE}", "[PRIVATE_KEY]"),
        (f"pem: |\n  {BEGIN}\n  {LINE}\n  abcd\nport: 80\n", "pem: |\n  [PRIVATE_KEY]\nport: 80\n"),
        (f'pem: "{BEGIN}\\n{LINE}"\nport: 80\n', 'pem: "[PRIVATE_KEY]"\nport: 80\n'),
        (f'"{BEGIN}\\n" +\n    "{LINE}\\n" +\n    "{LINE}";\nx', '"[PRIVATE_KEY]";\nx'),
        # Words about keys, and no key.
        (f"It begins with {BEGIN} and ends with {END}.", f"It begins with {BEGIN} and ends with {END}."),
        (f"{BEGIN}\n...\n{END}", f"{BEGIN}\n...\n{END}"),
        (f"{BEGIN}\n<your key here>\n{END}", f"{BEGIN}\n<your key here>\n{END}"),
    ],
)
def test_a_private_key_ends_with_its_last_line(text: str, shown: str, size: int) -> None:
    assert redacted(text, size) == shown


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    "body",
    [f"{BEGIN}\n{LINE}\n{LINE}\n{END}\n", f"{BEGIN}\n{LINE}", f"PuTTY-User-Key-File-3: ssh-ed25519\n{LINE}"],
)
def test_a_private_key_in_a_document_ends_with_its_string(body: str, is_json: bool, size: int) -> None:
    document = {"a": 1, "pem": body, "n": {"b": [2]}}
    out = json.loads(redacted(json.dumps(document), size, is_json=is_json))
    assert out["pem"].rstrip() == "[PRIVATE_KEY]"
    assert {**out, "pem": body} == document


@pytest.mark.parametrize("size", [1, 4, 100])
def test_an_own_pattern_names_its_value(size: int) -> None:
    rule = Rule(name="h/x", kind="X", pattern="(case)-(?P<value>[0-9]{3})?", caseless=True, given=True)
    rules = RuleSet([GuardRule(rule, "h", "redact")], load_scanner([rule], None))
    assert redacted("a CASE-123 and case-x", size, rules=rules) == "a CASE-[X] and [X]x"
