"""Rules for telephone numbers: international ones, and those of regions, as the library `phonenumbers` knows them.

Source: https://github.com/daviddrysdale/python-phonenumbers, a port of Google's libphonenumber.
"""

import re
from collections.abc import Sequence
from typing import Final

import phonenumbers

from patchbay.guards.rules import validators_contacts as v
from patchbay.guards.rules.context import CANDIDATE, words
from patchbay.guards.rules.rule import Rule, Validator
from patchbay.guards.rules.validators import digits_of

KNOWN_REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
_NAMED: Final = words(
    *("phone", "telephone", "tel", "tel no", "mobile", "cell", "cellphone", "call me", "call", "fax", "whatsapp"),
    *("phone number", "contact number", "number is", "dial", "sms", "text me", "reach me at", "ring", "hotline"),
    *("telefon", "telefonnummer", "handy", "handynummer", "mobil", "rufnummer", "anrufen", "portable", "telefono"),
    *("telephoner", "appelez", "celular", "movil", "llamar", "cellulare", "chiamare", "telefone", "telemovel"),
    *("telefoon", "telefonnumer", "puhelin", "puh", "tlf", "gsm", "telefone celular"),
)
_DAY: Final = re.compile(r"\(?(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2}|(?:19|20)\d{2}[./-]\d{1,2}[./-]\d{1,2})\)?")
_PAPER: Final = re.compile(r"\d{3}-\d{2}-\d{4}|\d{5}-\d{4}")
# A part of a longer number: of a card's, an account's, a date's.
_WITHIN: Final = re.compile(r"(?:\d[-./]|\d{4} |\b[A-Z]{2}\d{2} )\Z", re.ASCII)
# The tails are looked at so that a part of a longer number, of a decimal or of a date is none.
_END: Final = r"\b(?:[.,]\d|-\d)?"


class PhoneOf:
    """A validator of national numbers. `regions`: in whose numbers a text may be, by ISO 3166."""

    def __init__(self, regions: Sequence[str]) -> None:
        self._regions = tuple(regions)

    def __call__(self, text: str) -> bool:
        """Says whether a text is a number that any of the regions gives out."""
        return v.phone(text) and not _is_other(text) and any(_valid(text, region) for region in self._regions)


def _is_other(text: str) -> bool:
    """Whether it has the form of a date, or of a number of an identity paper."""
    return _DAY.fullmatch(text) is not None or _PAPER.fullmatch(text) is not None


def international(text: str) -> bool:
    """Checks a number with its country's code: one that is given out, or long enough to be."""
    try:
        number = phonenumbers.parse("+" + text[2:] if text.startswith("00") else text)
    except phonenumbers.NumberParseException:
        return False
    return v.phone(text) and phonenumbers.is_possible_number(number) and len(digits_of(text)) >= 8


def _valid(text: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def phone_rules(regions: Sequence[str]) -> tuple[Rule, ...]:
    """Makes the rules for telephone numbers. `regions`: of national numbers, by ISO 3166."""
    given = PhoneOf(regions)
    forms = [rule for rule in _FORMS if rule.country in regions]
    return (*_ABROAD, *forms, _national("phone-national", given), _named("phone-named", given))


def _national(name: str, valid: Validator) -> Rule:
    return Rule(
        name=name,
        kind="PHONE",
        pattern=rf"(?:\b0|\(0?)\d{{1,5}}(?:\)|[ ./-])[ ./-]{{0,2}}\d{{2,8}}(?:[ ./-]\d{{2,6}}){{0,4}}{_END}",
        valid=valid,
        unless=_WITHIN,
        confidence=0.7,
        examples=("030 901820", "(020) 7946 0958", "04 72 00 12 34", "(11) 96123-4567"),
        others=("01.02.2024", "0.12 345", "(1990) 12"),
    )


def _named(name: str, valid: Validator) -> Rule:
    return Rule(
        name=name,
        kind="PHONE",
        pattern=r"\(?\b\d{1,5}(?:[ ./()-]{0,2}\d){5,13}\b(?:[.-]\d)?",
        valid=valid,
        near=_NAMED,
        unless=_WITHIN,
        caseless=True,
        scanned=CANDIDATE,
        confidence=0.8,
        examples=("Tel. 612 34 56 78", "call me: 2025550143", "mobile 07911 123456"),
        others=("612 34 56 78", "phone 12345"),
    )


_ABROAD: Final = (
    Rule(
        name="phone-international",
        kind="PHONE",
        pattern=r"\+[1-9](?:[ .()/-]{0,2}\d){6,14}\b",
        valid=international,
        examples=("+49 30 901820", "+1 (202) 555-0143", "+442079460958"),
        others=("+12345", "1 + 2345678", "+3.1415926"),
    ),
    Rule(
        name="phone-00",
        kind="PHONE",
        unless=_WITHIN,
        pattern=r"\b00[1-9]\d{0,2}[ ./-]\(?\d{1,4}(?:[ .()/-]{1,2}\d{2,8}){1,4}\b",
        valid=international,
        examples=("0049 30 901820", "0044-20-7946-0958"),
        others=("0049309018", "000 30 901820"),
    ),
)
_FORMS: Final = (
    Rule(
        name="phone-us",
        kind="PHONE",
        country="US",
        pattern=r"(?:\b1[ .-])?(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?\b",
        valid=v.phone,
        unless=_WITHIN,
        examples=("(202) 555-0143", "202-555-0143", "1.202.555.0143", "(415)555-0132 ext. 12"),
        others=("1234567", "2024-01-15", "102-555-0143", "401-023-2137"),
    ),
    Rule(
        name="phone-gb",
        kind="PHONE",
        country="GB",
        pattern=r"\b0(?:2\d[ -]\d{4}[ -]\d{4}|1\d{2}[ -]\d{3}[ -]\d{4}|1\d{3}[ -]\d{5,6}|7\d{3}[ -]?\d{3}[ -]?\d{3})\b",
        valid=v.phone,
        unless=_WITHIN,
        examples=("020 7946 0958", "01632 960001", "07700 900123"),
        others=("01-02-2024", "020 7946"),
    ),
    Rule(
        name="phone-fr",
        kind="PHONE",
        country="FR",
        pattern=r"\b0[1-9](?:[ .-]\d{2}){4}\b",
        valid=v.phone,
        unless=_WITHIN,
        examples=("01 99 00 12 34", "06.39.98.12.34"),
        others=("01.02.2024", "01 99 00"),
    ),
    Rule(
        name="phone-de",
        kind="PHONE",
        country="DE",
        pattern=r"\b0[1-9]\d{1,4}(?: ?/ ?| |-)\d{5,8}(?:-\d{1,4})?\b",
        valid=v.phone,
        unless=_WITHIN,
        examples=("030 901820", "0171 39200123", "089/1234567-12"),
        others=("03 901820", "2030 901820"),
    ),
)
