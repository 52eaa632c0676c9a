"""Validators of cards, accounts, addresses of people and machines, telephone numbers and dates. Pure; each takes the
whole of a match."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from patchbay.guards.rules.validators import digits_of, luhn_sum

# The length of each country's IBAN, by the registry of ISO 13616.
IBAN_LENGTHS: Final[Mapping[str, int]] = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FO FI GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE IL IQ TL OM SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
# The first digits of issuers' numbers, from one to another, and the lengths of their numbers.
_ISSUERS: Final = (
    *((4, 4, (16, 19)), (51, 55, (16,)), (2221, 2720, (16,)), (34, 34, (15,)), (37, 37, (15,)), (2200, 2204, (16,))),
    *((300, 305, (14,)), (309, 309, (14,)), (36, 36, (14, 16)), (38, 39, (14, 16)), (6011, 6011, (16, 19))),
    *((644, 659, (16, 19)), (62, 62, (16, 17, 18, 19)), (3528, 3589, (16, 19)), (5018, 5020, (16, 18, 19))),
    *((5038, 5038, (16, 18, 19)), (5893, 5893, (16, 18, 19)), (6304, 6304, (16, 18, 19)), (6759, 6759, (16, 18, 19))),
    *((6761, 6763, (16, 18, 19)), (1220, 1220, (15,)), (2131, 2131, (15,)), (1800, 1800, (15,)), (60, 60, (16,))),
    *((5060, 5061, (16, 19)), (508, 508, (16,)), (81, 82, (16,)), (9792, 9792, (16,)), (637, 639, (16,))),
    *((56, 58, (16, 18, 19)), (6706, 6706, (16, 19)), (6771, 6771, (16, 19)), (6709, 6709, (16, 19))),
)
# Users of servers of repositories, and words after a point that are attributes in a program or endings of files.
_REPOSITORIES: Final = frozenset({"git", "hg", "svn", "gitlab", "gitea", "ssh"})
_NO_DOMAINS: Final = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "css",
        "scss",
        "js",
        "ts",
        "json",
        "yaml",
        "yml",
        "toml",
        "html",
        "xml",
        "txt",
        "md",
        "csv",
        "whl",
        "gz",
        "tgz",
        "jar",
        "exe",
        "dll",
        "so",
        "log",
        "transpose",
        "view",
        "shape",
        "mean",
        "sum",
        "dot",
        "weight",
        "bias",
        "grad",
        "data",
        "float",
        "half",
        "long",
        "reshape",
        "permute",
        "conj",
        "adjoint",
        "flatten",
        "item",
        "values",
        "numpy",
        "detach",
        "clone",
        "inverse",
        "local",
        "localhost",
        "localdomain",
        "internal",
        "t",
        "mt",
    ]
)


def iban(text: str) -> bool:
    """Checks an IBAN by ISO 13616: the country's length, and ISO 7064 MOD 97-10."""
    plain = re.sub(r"[^0-9A-Z]", "", text.upper())
    if len(plain) != IBAN_LENGTHS.get(plain[:2]) or not plain[2:4].isdigit():
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def ipv4(text: str) -> bool:
    """Checks an IPv4 address: four octets in decimal, without leading zeros (RFC 6943, 3.1.1)."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def ipv4_alone(text: str) -> bool:
    """Checks an IPv4 address or network with what comes after it: the end of a version is none."""
    address, _, rest = text.partition("/")
    return ipv4(address) and (not rest or rest.isdigit()) and address != "0.0.0.0"  # noqa: S104 - nothing is bound


def ipv6(text: str) -> bool:
    """Checks an IPv6 address or network by RFC 4291, 2.2 and 2.3, and RFC 4007, 11 (zones); with a digit somewhere,
    which `fade::bed` in a program has not."""
    try:
        ipaddress.IPv6Address(re.split("[%/]", text)[0])
    except ValueError:
        return False
    # A slice of a program, such as `1::2`, has short groups alone.
    is_slice = "::" in text and text.count(":") < 4 and re.search("[0-9a-fA-F]{3}", text) is None
    return bool(digits_of(text)) and (text == "::1" or not is_slice)


def mac(text: str) -> bool:
    """Checks the address of a network interface: not nobody's and not everybody's, and no mere number."""
    plain = re.sub("[^0-9a-f]", "", text.lower())
    return text[-1] not in ":-" and len(set(plain)) > 1 and not ("." in text and plain.isdigit())


def email(text: str) -> bool:
    """Checks an e-mail address with what comes after it: no address of a repository, and no product of matrices."""
    local, _, domain = text.partition("@")
    last = re.split("[.]", domain)[-1]
    if not last.isalpha() or local.lower() in _REPOSITORIES or last.lower() in _NO_DOMAINS:
        return False
    return last in (last.lower(), last.upper(), last.capitalize()) and len(text) > 6


def has_domain(text: str) -> bool:
    """Whether a web address has a name with a point in it."""
    host = re.split("[/?#:]", text.partition("://")[2] or text)[0]
    return "." in host.strip(".")


def calendar_date(text: str) -> bool:
    """Whether a date has a day and a month that there are, in any order."""
    parts = [int(part) for part in re.findall(r"\d+", text)]
    if re.fullmatch(r"\d{8}", text):
        parts = [int(text[:4]), int(text[4:6]), int(text[6:])]
    named, small = re.search("[a-zA-Z]{3}", text) is not None, [part for part in parts if part <= 31]
    if len(parts) != (2 if named else 3) or 0 in small:
        return False
    return bool(small) if named else len(small) >= 2 and any(part <= 12 for part in parts)


def card(text: str) -> bool:
    """Checks a card number by its issuer's prefixes and lengths (ISO/IEC 7812), and its check digit."""
    plain = re.sub(r"[\s-]", "", text)
    if not (plain.isascii() and plain.isdigit()) or len(set(plain)) == 1:
        return False
    return any(
        len(plain) in lengths and first <= int(plain[: len(str(first))]) <= last for first, last, lengths in _ISSUERS
    ) and luhn_sum(digits_of(plain))


def card_digits(text: str) -> bool:
    """Checks a number that a word calls a card's: 12 to 19 digits and the check digit."""
    plain = re.sub(r"[\s-]", "", text)
    return plain.isdigit() and 12 <= len(plain) <= 19 and len(set(plain)) > 1 and luhn_sum(digits_of(plain))


def phone(text: str) -> bool:
    """Checks a telephone number: 7 to 15 digits (ITU-T E.164), not all the same, and no decimal number."""
    digits = digits_of(text)
    return 7 <= len(digits) <= 15 and len(set(digits)) > 1 and re.fullmatch(r"\+?\d+\.\d+", text) is None
