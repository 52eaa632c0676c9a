"""Validators of more numbers of people and firms, by their check digits. Pure; each takes the whole of a match, and the
digits wherever they are in it."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from patchbay.guards.rules.validators import digits_of, luhn_sum

_GSTIN: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# The numbers of leaflets and of a wallet's sample card, which belong to nobody. Source: SSA, misused numbers.
_SAMPLES: Final = frozenset({"078051120", "219099999", "123456789", "457555462"})


def weighed(digits: Iterable[int], weights: Iterable[int]) -> int:
    """Returns the sum of digits, each by its weight."""
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def compact(text: str) -> str:
    """Returns the letters and digits of a text, as capitals."""
    return re.sub(r"[^0-9A-Z]", "", text.upper())


def dated(year: int, month: int, day: int) -> bool:
    """Says whether there is such a day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def us_ssn_given(text: str) -> bool:
    """Checks a US social security number by the rules of the SSA, but for the numbers that are printed as samples."""
    plain = "".join(map(str, digits_of(text)))
    given = plain[:3] not in ("000", "666") and plain[:1] != "9" and plain[3:5] != "00" and plain[5:] != "0000"
    return len(plain) == 9 and given and plain not in _SAMPLES and len(set(plain)) > 1


def licence(text: str) -> bool:
    """Whether a number near the word for a licence may be one: five digits, and neither years nor a ZIP code."""
    return len(digits_of(text)) >= 5 and re.fullmatch(r"(?:19|20)\d\d-(?:19|20)\d\d|\d{5}-\d{4}", text) is None


def us_aba(text: str) -> bool:
    """Checks a US routing number: weights 3 7 1, modulo 10, and the districts that there are (ABA)."""
    digits = digits_of(text)
    if len(digits) != 9:
        return False
    district = digits[0] * 10 + digits[1]
    known = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return known and any(digits) and weighed(digits, (3, 7, 1) * 3) % 10 == 0


def us_npi(text: str) -> bool:
    """Checks a US national provider identifier: Luhn with 80840 before it (CMS)."""
    digits = digits_of(text)
    return len(digits) == 10 and digits[0] in (1, 2) and luhn_sum([8, 0, 8, 4, 0, *digits])


def au_abn(text: str) -> bool:
    """Checks an Australian business number: modulo 89, with one taken from the first digit (ABR)."""
    digits = digits_of(text)
    if len(digits) != 11 or not digits[0]:
        return False
    return weighed([digits[0] - 1, *digits[1:]], (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) % 89 == 0


def au_acn(text: str) -> bool:
    """Checks an Australian company number: weights 8 to 1, modulo 10 (ASIC)."""
    digits = digits_of(text)
    return len(digits) == 9 and any(digits) and -weighed(digits[:8], range(8, 0, -1)) % 10 == digits[8]


def au_medicare(text: str) -> bool:
    """Checks an Australian Medicare number: weights 1 3 7 9, modulo 10 (Services Australia)."""
    digits = digits_of(text)
    if len(digits) not in (10, 11) or digits[0] not in range(2, 7):
        return False
    return weighed(digits[:8], (1, 3, 7, 9) * 2) % 10 == digits[8]


def in_gstin(text: str) -> bool:
    """Checks an Indian GST number: a check character modulo 36 (GSTN)."""
    values = [_GSTIN.index(char) for char in compact(text)]
    total = sum(sum(divmod(value * (1 + place % 2), 36)) for place, value in enumerate(values[:14]))
    return len(values) == 15 and -total % 36 == values[14]


def it_vat(text: str) -> bool:
    """Checks an Italian VAT number: Luhn over eleven digits (Agenzia delle Entrate)."""
    digits = digits_of(text)
    return len(digits) == 11 and any(digits) and luhn_sum(digits)


def kr_rrn(text: str) -> bool:
    """Checks a Korean resident number: a date, and modulo 11 with weights 2 to 9 (MOIS). Since October 2020 there is no
    check digit."""
    digits = digits_of(text)
    if len(digits) != 13:
        return False
    year = (1800 if digits[6] in (9, 0) else 2000 if digits[6] in (3, 4, 7, 8) else 1900) + digits[0] * 10 + digits[1]
    month, day = digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]
    checked = (11 - weighed(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == digits[12]
    # Residents from abroad have another remainder.
    foreign = (13 - weighed(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == digits[12]
    return dated(year, month, day) and (checked or (digits[6] > 4 and foreign) or (year, month) >= (2020, 10))


def kr_brn(text: str) -> bool:
    """Checks a Korean business number: weights 1 3 7 1 3 7 1 3 5, modulo 10 (NTS)."""
    digits = digits_of(text)
    if len(digits) != 10:
        return False
    total = weighed(digits[:9], (1, 3, 7, 1, 3, 7, 1, 3, 5)) + digits[8] * 5 // 10
    return -total % 10 == digits[9]


def th_tnin(text: str) -> bool:
    """Checks a Thai identity number: weights 13 to 2, modulo 11 (DOPA)."""
    digits = digits_of(text)
    if len(digits) != 13 or not 1 <= digits[0] <= 8:
        return False
    return (11 - weighed(digits[:12], range(13, 1, -1)) % 11) % 10 == digits[12]


def de_pension(text: str) -> bool:
    """Checks a German pension insurance number: the letter as two digits, sums of digits, weights 2 1 2 5 7 1 2 1 2 1 2
    1, modulo 10 (VKVV, section 4)."""
    plain = compact(text)
    match = re.fullmatch(r"(\d{8})([A-Z])(\d{3})", plain)
    if match is None or not 1 <= int(plain[2:4]) % 50 <= 31 or not 1 <= int(plain[4:6]) <= 12:
        return False
    digits = [*digits_of(match[1]), *divmod(ord(match[2]) - 64, 10), *digits_of(match[3][:2])]
    total = sum(
        sum(divmod(digit * weight, 10))
        for digit, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
    )
    return total % 10 == int(plain[-1])


def de_health(text: str) -> bool:
    """Checks a German health insurance number: the letter as two digits, weights 1 2, modulo 10 (SGB V, section 290)."""
    plain = compact(text)
    if re.fullmatch(r"[A-Z]\d{9}", plain) is None:
        return False
    digits = [*divmod(ord(plain[0]) - 64, 10), *digits_of(plain[1:9])]
    return sum(sum(divmod(digit * (1 + place % 2), 10)) for place, digit in enumerate(digits)) % 10 == int(plain[9])


def de_identity(text: str) -> bool:
    """Checks the number of a German identity card or passport: weights 7 3 1, modulo 10 (ICAO 9303)."""
    plain = compact(text)[-10:]
    if re.fullmatch(r"[0-9CFGHJKLMNPRTVWXYZ]{9}\d", plain) is None or len(digits_of(plain)) == 10:
        return False
    return weighed((int(char, 36) for char in plain[:9]), (7, 3, 1) * 3) % 10 == int(plain[9])


def vat_de(text: str) -> bool:
    """Checks a German VAT number: ISO 7064 MOD 11,10 over nine digits (BZSt)."""
    digits = digits_of(text)
    return _eleven_ten(digits)


def _eleven_ten(digits: Sequence[int]) -> bool:
    product = 10
    for digit in digits[:-1]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return len(digits) == 9 and (11 - product) % 10 == digits[-1]


def pl_nip(text: str) -> bool:
    """Checks a Polish tax number: weights 6 5 7 2 3 4 5 6 7, modulo 11."""
    digits = digits_of(text)
    return len(digits) == 10 and any(digits) and weighed(digits[:9], (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == digits[9]


def pl_card(text: str) -> bool:
    """Checks a Polish identity card: weights 7 3 1 9 7 3 1 7 3, modulo 10, where A is 10."""
    plain = compact(text)
    values = [int(char, 36) for char in plain]
    return len(values) == 9 and weighed(values, (7, 3, 1, 9, 7, 3, 1, 7, 3)) % 10 == 0


def at_social(text: str) -> bool:
    """Checks an Austrian social insurance number: weights 3 7 9 5 8 4 2 1 6, modulo 11 (Dachverband)."""
    digits = digits_of(text)
    if len(digits) != 10 or not digits[0]:
        return False
    return weighed([*digits[:3], *digits[4:]], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == digits[3]


def fi_business(text: str) -> bool:
    """Checks a Finnish business number: weights 7 9 10 5 8 4 2, modulo 11 (PRH)."""
    digits = digits_of(text)
    return len(digits) == 8 and -weighed(digits[:7], (7, 9, 10, 5, 8, 4, 2)) % 11 == digits[7]


def luhn_any(text: str) -> bool:
    """Checks digits of any length by Luhn's algorithm, not all of them the same."""
    digits = digits_of(text)
    return len(set(digits)) > 1 and luhn_sum(digits)


def bg_egn(text: str) -> bool:
    """Checks a Bulgarian number: weights 2 4 8 5 10 9 7 3 6, modulo 11 and 10 (GRAO)."""
    digits = digits_of(text)
    return len(digits) == 10 and weighed(digits[:9], (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == digits[9]


def baltic(text: str) -> bool:
    """Checks an Estonian or Lithuanian number: two rounds of weights modulo 11 (EVS 585)."""
    digits = digits_of(text)
    if len(digits) != 11 or not 1 <= digits[0] <= 8:
        return False
    first = weighed(digits[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    second = weighed(digits[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11
    return (first if first < 10 else second % 10) == digits[10]


def jmbg(text: str) -> bool:
    """Checks a number of Serbia, Slovenia and their neighbours: a date, and weights 7 to 2 twice, modulo 11."""
    digits = digits_of(text)
    if len(digits) != 13 or not dated(2000, digits[2] * 10 + digits[3] or 13, digits[0] * 10 + digits[1] or 32):
        return False
    rest = 11 - weighed(digits[:12], (7, 6, 5, 4, 3, 2) * 2) % 11
    return (0 if rest > 9 else rest) == digits[12]


def ru_snils(text: str) -> bool:
    """Checks a Russian pension number: weights 9 to 1, modulo 101."""
    digits = digits_of(text)
    return len(digits) == 11 and weighed(digits[:9], range(9, 0, -1)) % 101 % 100 == digits[9] * 10 + digits[10]


def ru_inn(text: str) -> bool:
    """Checks a Russian tax number of ten or twelve digits: modulo 11 and 10 (FNS)."""
    digits = digits_of(text)
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    places = {10: (9,), 12: (10, 11)}.get(len(digits), ())
    return bool(places) and all(weighed(digits[:at], weights[11 - at :]) % 11 % 10 == digits[at] for at in places)


def jp_number(text: str) -> bool:
    """Checks a Japanese individual number: weights 6 to 2 and 7 to 2, modulo 11."""
    digits = digits_of(text)
    if len(digits) != 12:
        return False
    rest = weighed(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == digits[11]


def hk_identity(text: str) -> bool:
    """Checks a number of Hong Kong: weights 9 to 2, modulo 11, where a space before one letter is 36."""
    plain = compact(text)
    values = [36] * (9 - len(plain)) + [int(char, 36) for char in plain[:-1]]
    rest = -weighed(values, range(9, 1, -1)) % 11
    return ("A" if rest == 10 else str(rest)) == plain[-1]


def nz_ird(text: str) -> bool:
    """Checks a New Zealand tax number: two rounds of weights modulo 11 (IRD)."""
    digits = digits_of(text)
    digits = [0] * (9 - len(digits)) + digits
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        rest = -weighed(digits[:8], weights) % 11
        if rest < 10:
            return len(digits) == 9 and rest == digits[8] and any(digits)
    return False


def ir_identity(text: str) -> bool:
    """Checks an Iranian number: weights 10 to 2, modulo 11."""
    digits = digits_of(text)
    rest = weighed(digits[:9], range(10, 1, -1)) % 11
    return len(digits) == 10 and len(set(digits)) > 1 and digits[9] == (rest if rest < 2 else 11 - rest)


def ec_cedula(text: str) -> bool:
    """Checks a number of Ecuador: a province, and Luhn over ten digits."""
    digits = digits_of(text)
    return len(digits) == 10 and 1 <= digits[0] * 10 + digits[1] <= 24 and digits[2] < 6 and luhn_sum(digits)


def es_social(text: str) -> bool:
    """Checks a Spanish social security number: modulo 97 of the province and the number (TGSS)."""
    plain = compact(text)
    number = plain[2:-2]
    if not plain.isdigit() or len(plain) not in (11, 12):
        return False
    value = int(plain[:2] + (number if int(number) >= 10_000_000 else number[-7:]))
    return value % 97 == int(plain[-2:])


def ua_rnokpp(text: str) -> bool:
    """Checks a Ukrainian tax number: weights -1 5 7 9 4 6 10 5 7, modulo 11 and 10."""
    digits = digits_of(text)
    return len(digits) == 10 and weighed(digits[:9], (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == digits[9]


def sg_uen(text: str) -> bool:
    """Checks a Singaporean number of a firm, in each of its three forms (ACRA)."""
    plain = compact(text)
    if len(plain) == 9:
        return "XMKECAWLJDB"[weighed(digits_of(plain), (10, 4, 9, 3, 8, 2, 7, 1)) % 11] == plain[-1]
    if plain[0].isdigit():
        return "ZKCMDNERGWH"[weighed(digits_of(plain), (10, 8, 6, 4, 9, 7, 5, 3, 1)) % 11] == plain[-1]
    letters = "ABCDEFGHJKLMNPQRSTUVWX0123456789"
    values = [letters.find(char) for char in plain[:9]]
    return -1 not in values and letters[(weighed(values, (4, 3, 5, 3, 10, 2, 2, 5, 7)) - 5) % 11] == plain[-1]
