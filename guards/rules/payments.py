"""Rules for cards, accounts and wallets."""

import re
from typing import Final

from patchbay.guards.rules import validators_contacts as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import CANDIDATE, words
from patchbay.guards.rules.crypto import base58_address, bech32_address
from patchbay.guards.rules.rule import Rule

_CARD_WORDS: Final = words(
    *("card", "credit card", "debit card", "card number", "cc", "ccnum", "pan", "visa", "mastercard", "amex"),
    *("maestro", "discover", "kreditkarte", "kartennummer", "carte", "tarjeta", "carta", "cartao", "creditcard"),
    *("american express", "diners", "jcb", "unionpay", "karta", "kort", "kaart"),
)
_BANK_WORDS: Final = words(
    *("bank account", "account number", "account no", "account num", "account", "acct", "checking", "savings"),
    *("bank", "bank number", "debit account", "kontonummer", "konto", "compte", "cuenta", "conto", "conta"),
)
_ROUTING_WORDS: Final = words("routing", "aba", "rtn", "routing number", "bank routing", "transit", "fedwire", "ach")
# A number among others: a decimal's digits, a version, a UUID, a list of groups of four.
_AMONG: Final = re.compile(
    r"(?:\d[.:/_-]|(?<![A-Za-z])\.|\b[0-9a-f]{4}-|(?<![\d-])(?!19|20)\d{4} |(?:\A|\s)\d\s)\Z", re.ASCII
)
_TAIL: Final = r"(?:\.\d|[a-z_]|,\d{3}\b)?"


def _iban() -> str:
    """Returns the pattern of IBANs, each country with its own length, so that capitals after one are not taken in."""
    return "|".join(
        f"(?:{'|'.join(sorted(c for c, long in v.IBAN_LENGTHS.items() if long == length))})"
        rf"\d{{2}}(?:[ -]?[0-9A-Z]){{{length - 4}}}"
        for length in sorted(set(v.IBAN_LENGTHS.values()))
    )


def _card(name: str, pattern: str, examples: tuple[str, ...], others: tuple[str, ...]) -> Rule:
    return Rule(
        name=name,
        kind="CARD",
        pattern=rf"\b(?P<value>{pattern})\b{_TAIL}",
        valid=v.card,
        unless=_AMONG,
        examples=examples,
        others=others,
    )


# The printed forms have rules of their own: digits that follow one must not spoil its check digit.
CARDS: Final = (
    _card(
        "card-16",
        r"[2-689]\d{3}(?:[ -]?\d{4}){3}",
        ("4111 1111 1111 1111", "5555-5555-5555-4444 2027", "2221000000000009"),
        ("4111 1111 1111 1112", "4111/1111/1111/1111", "0.4111111111111111", "4111111111111111.5", "9111111111111111"),
    ),
    _card(
        "card-15",
        r"(?:3[47]\d{2}|1220|2131|1800)[ -]?\d{6}[ -]?\d{5}",
        ("3782 822463 10005", "371449635398431", "122000000000003"),
        ("3782 822463 10006", "3582 822463 10005"),
    ),
    _card(
        "card-14",
        r"3[0689]\d{2}[ -]?\d{6}[ -]?\d{4}",
        ("3056 930902 5904", "38520000023237"),
        ("3056 930902 5905",),
    ),
    _card(
        "card-spelt",
        r"[3-6](?:\s\d){15}",
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2", "1 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    ),
    _card(
        "card-19",
        r"(?:4|50|5[6-8]|6)\d{2,3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{2,3}",
        ("6304 0000 0000 0000 000", "4917610000000000003"),
        ("6304 0000 0000 0000 001",),
    ),
    Rule(
        name="card-named",
        kind="CARD",
        pattern=r"\b(?P<value>\d(?:[ -]?\d){11,18})\b(?:\.\d)?",
        valid=v.card_digits,
        near=_CARD_WORDS,
        caseless=True,
        scanned=CANDIDATE,
        unless=_AMONG,
        confidence=0.8,
        examples=("card number: 4222222222222", "Visa 4222-2222-2222-2", '{"pan": "6759649826438453"}'),
        others=("4222222222222", "1700000000000", "card 4111  1111  1111  1112"),
    ),
)
ACCOUNTS: Final = (
    Rule(
        name="iban",
        kind="IBAN",
        pattern=rf"\b(?:{_iban()})\b",
        scanned=r"\b[A-Z]{2}\d{2}(?:[ -]?[0-9A-Z]){11,29}",
        caseless=True,
        valid=v.iban,
        examples=("DE89 3704 0044 0532 0130 00 BIC", "GB82WEST12345698765432", "no93 8601 1117 947"),
        others=("DE89 3704 0044 0532 0130 01", "DE89 3704 0044 0532", "XX89 3704 0044 0532 0130 00"),
    ),
    Rule(
        name="us-routing",
        kind="BANK_ACCOUNT",
        country="US",
        pattern=r"\b\d{9}\b",
        valid=w.us_aba,
        near=_ROUTING_WORDS,
        caseless=True,
        scanned=CANDIDATE,
        examples=("routing number 121000358", "ABA: 121042882"),
        others=("121000358", "routing number 121000359"),
    ),
    Rule(
        name="us-routing-printed",
        kind="BANK_ACCOUNT",
        country="US",
        pattern=r"\b\d{4}-\d{4}-\d\b",
        valid=w.us_aba,
        examples=("3222-7162-7",),
        others=("3222-7162-8", "3222-7162"),
    ),
    Rule(
        name="bank-account",
        kind="BANK_ACCOUNT",
        pattern=r"\b\d{8,17}\b",
        near=_BANK_WORDS,
        caseless=True,
        scanned=CANDIDATE,
        unless=_AMONG,
        confidence=0.6,
        examples=("my bank account number is 945456787654", '{"account_number": "945456787654"}'),
        others=("945456787654", "bank account 1234"),
    ),
    Rule(
        name="sort-code",
        kind="BANK_ACCOUNT",
        country="GB",
        pattern=r"\b\d{2}-\d{2}-\d{2}\b",
        near=words("sort code", "sortcode", "bank sort"),
        caseless=True,
        scanned=CANDIDATE,
        confidence=0.8,
        examples=("sort code 20-00-00",),
        others=("20-00-00", "sort by 20-00-00"),
    ),
    Rule(
        name="bic",
        kind="BANK_ACCOUNT",
        pattern=r"\b[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b",
        near=words("bic", "swift", "swift code", "bic code"),
        confidence=0.6,
        bare=0.05,
        examples=("BIC: COBADEFFXXX", "SWIFT code DEUTDEFF"),
        others=("COBADEFFXXX", "BIC: none"),
    ),
)
WALLETS: Final = (
    Rule(
        name="crypto-base58",
        kind="CRYPTO",
        pattern=r"\b[13LMDTA9][1-9A-HJ-NP-Za-km-z]{25,34}\b",
        valid=base58_address,
        examples=("16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        others=("16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ2", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
    ),
    Rule(
        name="crypto-bech32",
        kind="CRYPTO",
        pattern=r"\b(?:bc|tb|ltc)1[ac-hj-np-z02-9]{8,87}\b",
        caseless=True,
        valid=bech32_address,
        examples=("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",),
        others=("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdx", "BC1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    ),
    Rule(
        name="crypto-ethereum",
        kind="CRYPTO",
        pattern=r"\b0x[0-9a-fA-F]{40}\b",
        confidence=0.7,
        examples=("0x52908400098527886E0F7030069857D2E4169EE7",),
        others=("0x52908400098527886E0F7030069857D2E4169EE", "52908400098527886E0F7030069857D2E4169EE7"),
    ),
    Rule(
        name="crypto-monero",
        kind="CRYPTO",
        pattern=r"\b[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}\b",
        confidence=0.7,
        examples=("44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A",),
        others=("44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3",),
    ),
)
