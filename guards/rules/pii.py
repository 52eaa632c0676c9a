"""Rules for personal data: e-mail addresses, and numbers of telephones, cards, accounts, machines and identity
papers."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules.national import NATIONAL
from patchbay.guards.rules.rule import Rule


def _iban() -> str:
    """Returns the pattern of IBANs, each country with its own length, so that capitals after one are not taken in."""
    return "|".join(
        f"(?:{'|'.join(sorted(c for c, long in v.IBAN_LENGTHS.items() if long == length))})"
        rf"\d{{2}}(?:[ -]?[0-9A-Z]){{{length - 4}}}"
        for length in sorted(set(v.IBAN_LENGTHS.values()))
    )


# The printed forms have rules of their own: digits that follow one must not spoil its check digit.
_CARDS: Final = (
    Rule(
        name="card-16",
        kind="CARD",
        pattern=r"\b[2-6]\d{3}(?:[ -]?\d{4}){3}\b",
        valid=v.luhn,
        examples=("4111 1111 1111 1111", "5555-5555-5555-4444 2027", "2221000000000009"),
        others=("4111 1111 1111 1112", "4111/1111/1111/1111"),
    ),
    Rule(
        name="card-15",
        kind="CARD",
        pattern=r"\b3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b",
        valid=v.luhn,
        examples=("3782 822463 10005", "371449635398431"),
        others=("3782 822463 10006", "3582 822463 10005"),
    ),
    Rule(
        name="card-14",
        kind="CARD",
        pattern=r"\b3[0689]\d{2}[ -]?\d{6}[ -]?\d{4}\b",
        valid=v.luhn,
        examples=("3056 930902 5904", "38520000023237"),
        others=("3056 930902 5905",),
    ),
    Rule(
        name="card",
        kind="CARD",
        pattern=r"\b[2-6](?:[ -]?\d){12,18}\b",
        valid=v.luhn,
        examples=("6304 0000 0000 0000 000", "4222222222222", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        others=("1700000000000", "4111 1111 1111", "4111  1111  1111  1111"),
    ),
)
_PHONES: Final = (
    Rule(
        name="phone-international",
        kind="PHONE",
        pattern=r"\+[1-9](?:[ .()/-]{0,2}\d){6,14}\b",
        valid=v.phone,
        examples=("+49 30 901820", "+1 (202) 555-0143", "+442079460958"),
        others=("+12345", "1 + 2345678", "+3.1415926"),
    ),
    Rule(
        name="phone-00",
        kind="PHONE",
        pattern=r"\b00[1-9]\d{0,2}[ ./-]\(?\d{1,4}(?:[ .()/-]{1,2}\d{2,8}){1,4}\b",
        valid=v.phone,
        examples=("0049 30 901820", "0044-20-7946-0958"),
        others=("0049309018", "000 30 901820"),
    ),
    Rule(
        name="phone-us",
        kind="PHONE",
        pattern=r"(?:\b1[ .-])?(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}\b",
        valid=v.phone,
        examples=("(202) 555-0143", "202-555-0143", "1.202.555.0143"),
        others=("1234567", "2024-01-15", "102-555-0143"),
    ),
    Rule(
        name="phone-gb",
        kind="PHONE",
        pattern=r"\b0(?:2\d[ -]\d{4}[ -]\d{4}|1\d{2}[ -]\d{3}[ -]\d{4}|1\d{3}[ -]\d{5,6}|7\d{3}[ -]?\d{3}[ -]?\d{3})\b",
        valid=v.phone,
        examples=("020 7946 0958", "01632 960001", "07700 900123"),
        others=("01-02-2024", "020 7946"),
    ),
    Rule(
        name="phone-fr",
        kind="PHONE",
        pattern=r"\b0[1-9](?:[ .-]\d{2}){4}\b",
        valid=v.phone,
        examples=("01 99 00 12 34", "06.39.98.12.34"),
        others=("01.02.2024", "01 99 00"),
    ),
    Rule(
        name="phone-de",
        kind="PHONE",
        pattern=r"\b0[1-9]\d{1,4}(?: ?/ ?| |-)\d{5,8}(?:-\d{1,4})?\b",
        valid=v.phone,
        examples=("030 901820", "0171 39200123", "089/1234567-12"),
        others=("03 901820", "2030 901820"),
    ),
)
_MACHINES: Final = (
    Rule(
        name="ipv4",
        kind="IP",
        pattern=r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
        valid=v.ipv4,
        examples=("203.0.113.7", "from 192.168.10.254, at noon"),
        others=("1.2.3", "256.1.1.1", "10.0.0.299"),
    ),
    Rule(
        name="ipv6",
        kind="IP",
        pattern=r"\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\b",
        caseless=True,
        valid=v.ipv6,
        examples=("2001:db8::8a2e:370:7334", "FE80:0:0:0:202:B3FF:FE1E:8329"),
        others=("12:30:45", "fade::bed", "1:2:3"),
    ),
    Rule(
        name="mac",
        kind="MAC",
        pattern=r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b|\b[0-9a-f]{2}(?:-[0-9a-f]{2}){5}\b",
        caseless=True,
        examples=("00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e"),
        others=("00:1A:2B:3C:4D", "00:1A:2B:3C:4D:5G"),
    ),
)
PII: Final[tuple[Rule, ...]] = (
    # Without `\b` before it, and without runs of dashes in it: one is too much for Hyperscan, the other holds rulers.
    Rule(
        name="email",
        kind="EMAIL",
        pattern=r"[a-z0-9_%](?:[.+-]?[a-z0-9_%]){0,63}@(?:[a-z0-9-]{1,60}\.){1,4}[a-z]{2,24}\b",
        caseless=True,
        examples=("jane.doe+news@example.co.uk", "Write to J_D@Mail.Example.org."),
        others=("jane.doe@example", "@example.com", "jane at example.com"),
    ),
    *_PHONES,
    *_CARDS,
    Rule(
        name="iban",
        kind="IBAN",
        pattern=rf"\b(?:{_iban()})\b",
        caseless=True,
        valid=v.iban,
        examples=("DE89 3704 0044 0532 0130 00 BIC", "GB82WEST12345698765432", "no93 8601 1117 947"),
        others=("DE89 3704 0044 0532 0130 01", "DE89 3704 0044 0532", "XX89 3704 0044 0532 0130 00"),
    ),
    *_MACHINES,
    *NATIONAL,
)
