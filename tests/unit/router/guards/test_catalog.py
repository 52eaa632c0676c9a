import random
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.guards.folding import fold
from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_contacts as c
from patchbay.guards.rules import validators_secrets as s
from patchbay.guards.rules.contacts import DATES, URLS
from patchbay.guards.rules.language import parsed, reversed_prefixes
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.secrets_cloud import CLOUD
from patchbay.guards.rules.secrets_code import CODE
from patchbay.guards.rules.secrets_services import SERVICES
from patchbay.guards.rules.words import PROFANITY
from patchbay.guards.scan.load import load_scanner
from patchbay.guards.stream.channel import Channel
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from tests.fakes.samples import sample

EVERYWHERE = (*PII, *SECRETS, *PROFANITY)
ALL = (*EVERYWHERE, *URLS, *DATES)
KINDS = {
    *("EMAIL", "PHONE", "CARD", "IBAN", "BANK_ACCOUNT", "CRYPTO", "SSN", "IP", "MAC", "NATIONAL_ID", "PASSPORT"),
    *("DRIVER_LICENSE", "TAX_ID", "HEALTH_ID", "VEHICLE", "POSTCODE", "BIRTH_DATE", "URL", "DATE"),
    *("SECRET", "JWT", "PRIVATE_KEY", "URL_CREDENTIALS", "PROFANITY"),
}
WIDE = {"jwt": 1024, "email": 420}
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def found(rule: Rule, text: str) -> str | None:
    """What a scanner would make of it: the first match that is valid."""
    text = fold(text)
    match = rule.compiled.search(text)
    while match is not None and not rule.counts(match):
        match = rule.compiled.search(text, match.start() + 1)
    return None if match is None else match[0]


def width(pattern: str) -> int:
    parser: Any = import_module("re._parser")
    return int(parser.parse(pattern).getwidth()[1])


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
class TestEachRule:
    def test_finds_its_examples(self, rule: Rule) -> None:
        assert rule.examples
        assert [text for text in rule.examples if not found(rule, text)] == []

    def test_finds_its_examples_among_words_and_quotes(self, rule: Rule) -> None:
        around = [form.format(text) for text in rule.examples for form in ("it is {} then", '"{}",', "({}).", "x={}\n")]
        assert [text for text in around if not found(rule, text)] == []

    def test_leaves_near_misses_alone(self, rule: Rule) -> None:
        assert rule.others
        assert [text for text in rule.others if found(rule, text)] == []

    def test_is_one_that_scanners_take(self, rule: Rule) -> None:
        for pattern in (rule.pattern, rule.until):
            assert pattern is None or parsed(rule.name, pattern)

    def test_has_a_small_bound(self, rule: Rule) -> None:
        assert all(width(each) <= WIDE.get(rule.name, 400) for each in (rule.pattern, rule.until or "x"))

    def test_is_named_as_others_are(self, rule: Rule) -> None:
        assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", rule.name)
        assert rule.kind in KINDS


@pytest.mark.parametrize("rule", [rule for rule in ALL if rule.scanned], ids=lambda rule: rule.name)
def test_scanners_know_every_beginning_of_what_they_look_for_more_broadly(rule: Rule) -> None:
    assert rule.scanned is not None
    begun = re.compile(reversed_prefixes(parsed(rule.name, rule.scanned)).replace("(?P<value>", "(?:"), re.IGNORECASE)
    rng, texts = random.Random(rule.name), list[str]()  # noqa: S311
    while len(texts) < 40:
        text = sample(rule.pattern, rng)
        match = rule.compiled.fullmatch(text)
        if match is not None and (len(texts) % 2 or rule.valid is None or rule.valid(text)):
            texts.append(text)
    missing = [text[:end] for text in texts for end in range(1, len(text) + 1) if not begun.fullmatch(text[:end][::-1])]
    assert missing == []


def test_names_are_unique() -> None:
    names = [rule.name for rule in ALL]
    assert sorted(set(names)) == sorted(names)


def test_there_are_sixty_vendor_formats_and_a_dozen_countries() -> None:
    assert len({*CLOUD, *CODE, *SERVICES}) >= 60
    assert len({rule.name[:5] for rule in PII if rule.kind == "NATIONAL_ID"}) >= 12


def test_most_rules_are_short() -> None:
    widths = sorted(width(rule.pattern) for rule in ALL)
    assert widths[len(widths) * 4 // 5] <= 120


@pytest.mark.parametrize("form", ["{}", "RSA {}", "EC {}", "DSA {}", "OPENSSH {}", "ENCRYPTED {}", "PGP {} BLOCK"])
def test_a_private_key_ends_where_it_says(form: str) -> None:
    (rule,) = [each for each in SECRETS if each.name == "private-key"]
    label = form.format("PRIVATE" + " KEY")
    begin = f"-----BEGIN {label}-----\n" + "MIIEvQIBADANBgkq"
    assert found(rule, begin + "hkiG9w0B") == begin
    assert rule.until is not None
    end = re.search(rule.until, f"MIIE\n-----END {label}-----\n")
    assert end is not None
    assert end["value"] == f"\n-----END {label}-----"


@pytest.mark.parametrize("after", [" 2027", " 12", "-1", " 123 and 4"])
def test_digits_after_a_card_do_not_hide_it(after: str) -> None:
    assert any(found(rule, f"4111 1111 1111 1111{after}") for rule in PII if rule.kind == "CARD")


@pytest.mark.parametrize("after", [" BIC COBADEFFXXX", " 12", " AND"])
def test_capitals_after_an_iban_do_not_hide_it(after: str) -> None:
    (rule,) = [each for each in PII if each.name == "iban"]
    assert found(rule, f"DE89 3704 0044 0532 0130 00{after}") == "DE89 3704 0044 0532 0130 00"


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-01-15 at 12:30:45 we sold 1234567 of 12,345,678 (3.14159 each); see section 4.2.1.",
        "The assassin's class assignment: cocktails in Scunthorpe, a raccoon, and a document.",
        "The password is not in the token; a secret must be kept. Passport number? None.",
        "const value = items[index]; // https://example.com:8080/path?x=1#a@b",
        "Licensed under the terms of 2009-2014; Fifth Floor, Boston, MA 02110-1301, USA",
        "x[:, 0::2], x[:, 1::2] = key == KeySpec.ECC_NIST_P256, f(num_tokens, dtype=np.int64)",
        'mode="bilinear", align_corners=False # in R version 3.3.2 (2016-10-31)',
        "commit 9f3a61c07be4d2589f3a61c07be4d2589f3a61c0, sha256 " + "9f3a61c07be4d258" * 4,
    ],
)
def test_nothing_is_found_in_plain_text(text: str) -> None:
    assert [(rule.name, found(rule, text)) for rule in EVERYWHERE if found(rule, text)] == []


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=least, max_size=most)


def changed(text: str, place: int, by: int) -> str:
    """`text` with one digit that is another."""
    return text[:place] + DIGITS[(int(text[place]) + by) % 10] + text[place + 1 :]


def one_more(valid: Callable[[str], bool], number: str) -> Sequence[str]:
    return [number + digit for digit in DIGITS if valid(number + digit)]


PLACES = st.integers(0, 10_000)
STEPS = st.integers(1, 9)


@given(numbers(12, 18), PLACES, STEPS)
def test_luhn_has_one_check_digit_and_sees_one_wrong_digit(number: str, place: int, by: int) -> None:
    (right,) = one_more(v.luhn, number)
    assert v.luhn(" ".join(right[at : at + 4] for at in range(0, len(right), 4)))
    assert not v.luhn(changed(right, place % len(right), by))


@given(numbers(0, 30))
def test_luhn_takes_the_lengths_of_cards_alone(number: str) -> None:
    assert not v.luhn(number) or 13 <= len(number) <= 19


@given(st.sampled_from(sorted(c.IBAN_LENGTHS)), st.data(), PLACES, STEPS)
def test_iban_sees_one_wrong_digit(country: str, data: st.DataObject, place: int, by: int) -> None:
    body = data.draw(numbers(c.IBAN_LENGTHS[country] - 4, c.IBAN_LENGTHS[country] - 4))
    value = int("".join(str(int(char, 36)) for char in body + country + "00"))
    right = f"{country}{98 - value % 97:02}{body}"
    assert c.iban(right)
    assert c.iban(right.lower())
    assert not c.iban(changed(right, 2 + place % (len(right) - 2), by))
    assert not c.iban(right + "0")


@given(numbers(3, 20), PLACES, STEPS)
def test_verhoeff_sees_one_wrong_digit_and_two_changed_places(number: str, place: int, by: int) -> None:
    def valid(text: str) -> bool:
        return v.verhoeff(v.digits_of(text))

    (right,) = one_more(valid, number)
    at = place % (len(right) - 1)
    assert not valid(changed(right, at, by))
    if right[at] != right[at + 1]:
        assert not valid(right[:at] + right[at + 1] + right[at] + right[at + 2 :])


# Checks modulo a prime above nine see every single wrong digit; Luhn's and the like do so as well.
@pytest.mark.parametrize(
    ("valid", "number"),
    [
        (v.au_tfn, "123456782"),
        (v.be_national, "85073003328"),
        (v.br_cnpj, "11222333000181"),
        (v.br_cpf, "52998224725"),
        (v.ca_sin, "123456782"),
        (v.ch_ahv, "7569217076985"),
        (v.cz_rodne, "7103192745"),
        (v.fr_nir, "255081416802538"),
        (v.gb_nhs, "9434765919"),
        (v.in_aadhaar, "234123412346"),
        (v.iso7064_11_10, "36574261809"),
        (v.luhn, "4111111111111111"),
        (v.nl_bsn, "111222333"),
        (v.no_fodselsnummer, "15108695088"),
        (v.pl_pesel, "44051401359"),
        (v.se_personnummer, "8112289874"),
        (v.za_identity, "7503305044089"),
    ],
)
def test_a_wrong_digit_is_seen(valid: Callable[[str], bool], number: str) -> None:
    assert valid(number)
    wrong = [changed(number, place, by) for place in range(len(number)) for by in range(1, 10)]
    assert [each for each in wrong if valid(each)] == []


@given(st.sampled_from([rule for rule in PII if rule.valid is not None]), st.data())
def test_validators_bear_whatever_their_pattern_matches(rule: Rule, data: st.DataObject) -> None:
    match = rule.compiled.search(data.draw(st.from_regex(rule.compiled)))
    assert match is not None
    assert rule.valid is not None
    assert isinstance(rule.valid(match[0]), bool)


@given(st.integers(0, 899), st.integers(0, 99), st.integers(0, 9999))
def test_ssn_has_no_zeros_for_a_part(area: int, group: int, serial: int) -> None:
    given_out = area not in (0, 666) and group != 0 and serial != 0
    assert v.us_ssn(f"{area:03}-{group:02}-{serial:04}") is given_out


@given(st.ip_addresses())
def test_addresses_are_told_from_what_is_none(address: object) -> None:
    text = str(address)
    assert c.ipv4(text) is ("." in text and ":" not in text)
    assert not c.ipv6(text) or ":" in text
    assert not c.ipv4(text + ".1")


@given(st.sampled_from(DIGITS), st.integers(1, 40))
def test_one_digit_again_and_again_is_no_telephone(digit: str, times: int) -> None:
    assert not c.phone("+" + digit * times)


@given(st.text(LETTERS, min_size=1, max_size=60), st.sampled_from(LETTERS + DIGITS))
def test_what_looks_random_has_letters_and_digits_and_many_of_them(text: str, char: str) -> None:
    assert not s.random_looking(text)
    assert not s.random_looking(char * len(text))
    assert s.random_looking("aB3dE6gH9jK2mN5p")


@pytest.mark.parametrize("head", ["W10", "bnVsbA", "MQ", "eyJhIjox", "!!!", ""])
def test_a_jwt_begins_with_an_object(head: str) -> None:
    assert s.jwt("eyJhbGciOiJIUzI1NiJ9.e30.x")
    assert not s.jwt(f"{head}.e30.x")


def test_a_card_is_told_twice() -> None:
    rules = RuleSet([GuardRule(rule, "pii", "flag") for rule in PII], load_scanner(PII, None))
    channel = Channel([RulesWatch(rules)], lambda span: "")
    spans = [*channel.feed("pay with 4111 1111 1111 1111 now").spans, *channel.finish().spans]
    assert [(span.start, span.end, span.kind) for span in spans] == [(9, 28, "CARD")]
