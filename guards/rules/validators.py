"""Validators of matches: check digits, and tests for random text. Pure; each takes the whole of a match.

Those of identity numbers take the digits wherever they are, so that the word before a number may stay in the match.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_PPS: Final = "WABCDEFGHIJKLMNOPQRSTUV"
_CURP: Final = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
_CODICE_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_TAIWAN: Final = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
# The dihedral group of order ten, and Verhoeff's permutation.
_TIMES: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_PERMUTED: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def digits_of(text: str) -> list[int]:
    """Returns the ASCII digits in `text`, in order."""
    return [int(char) for char in text if "0" <= char <= "9"]


def luhn(text: str) -> bool:
    """Checks a card number: 13 to 19 digits, spaces and dashes aside, and the check digit of ISO/IEC 7812-1, annex
    B."""
    plain = text.replace(" ", "").replace("-", "")
    return plain.isascii() and plain.isdigit() and 13 <= len(plain) <= 19 and luhn_sum(digits_of(plain))


def luhn_sum(digits: Sequence[int]) -> bool:
    """Checks digits of any number by Luhn's algorithm alone (US patent 2950048)."""
    return sum(digits[::-2]) % 10 == -sum(digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]) % 10


def verhoeff(digits: Sequence[int]) -> bool:
    """Checks digits by Verhoeff's algorithm (Error Detecting Decimal Codes, 1969)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _TIMES[check][_PERMUTED[place % 8][digit]]
    return check == 0


def us_ssn(text: str) -> bool:
    """Checks a US social security number by the rules of the SSA: no area 000, 666 or 9xx, no group 00, no serial
    0000."""
    plain = "".join(map(str, digits_of(text)))
    area, group, serial = plain[:3], plain[3:5], plain[5:]
    return len(plain) == 9 and area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def numbered(text: str) -> bool:
    """Whether there are at least five digits: a passport's number, and not the word after `passport`."""
    return len(digits_of(text)) >= 5


def passport_lines(text: str) -> bool:
    """Checks the second line of a passport's machine readable zone: ICAO 9303-3, 4.9."""
    parts = (text[:10], text[13:20], text[21:28], text[:10] + text[13:20] + text[21:43] + text[43:])
    return len(text) == 44 and all(_icao(part) for part in parts)


def ar_cuit(text: str) -> bool:
    """Checks a number of Argentina (CUIT and CUIL): AFIP, weights 5 4 3 2 7 6 5 4 3 2."""
    return _mod11(digits_of(text), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))


def au_tfn(text: str) -> bool:
    """Checks a number of Australia (tax file number): ATO, weights 1 4 3 7 5 8 6 9 10."""
    return _mod11(digits_of(text), (1, 4, 3, 7, 5, 8, 6, 9, 10))


def be_national(text: str) -> bool:
    """Checks a number of Belgium (national register): 97 minus the first nine modulo 97, with a 2 before them since
    2000 (RRN)."""
    plain = "".join(map(str, digits_of(text)))
    return len(plain) == 11 and int(plain[9:]) in (97 - int(plain[:9]) % 97, 97 - int("2" + plain[:9]) % 97)


def br_cpf(text: str) -> bool:
    """Checks a number of Brazil (CPF): two digits modulo 11 (Receita Federal); not all the same."""
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    return all(digits[end] == _cycled(digits[:end], 10) * 10 % 11 % 10 for end in (9, 10))


def br_cnpj(text: str) -> bool:
    """Checks a number of Brazil (CNPJ): two digits modulo 11, weights 2 to 9 from the right (Receita Federal)."""
    digits = digits_of(text)
    if len(digits) != 14:
        return False
    return all(digits[end] == _cycled(digits[:end], 8) * 10 % 11 % 10 for end in (12, 13)) and any(digits)


def ca_sin(text: str) -> bool:
    """Checks a number of Canada (social insurance number): Luhn over nine digits."""
    digits = digits_of(text)
    return len(digits) == 9 and digits[0] not in (0, 8) and luhn_sum(digits)


def ch_ahv(text: str) -> bool:
    """Checks a number of Switzerland (AHV number): 756, and an EAN-13 check digit (ZAS)."""
    digits = digits_of(text)
    return len(digits) == 13 and (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


def cl_rut(text: str) -> bool:
    """Checks a number of Chile (RUT): modulo 11, weights 2 to 7 from the right."""
    plain = _compact(text)
    return "0123456789K0"[-_cycled(digits_of(plain[:-1]), 6) % 11] == plain[-1]


def cn_resident(text: str) -> bool:
    """Checks a number of China (resident identity number): GB 11643, ISO 7064 MOD 11-2."""
    plain = _compact(text)
    total = sum(int(char) * pow(2, 17 - place, 11) for place, char in enumerate(plain[:17]))
    return "10X98765432"[total % 11] == plain[17:]


def cz_rodne(text: str) -> bool:
    """Checks a number of Czechia and Slovakia (birth number): ten digits divisible by 11 (Act 133/2000)."""
    digits = digits_of(text)
    return len(digits) == 10 and _number(digits) % 11 == 0


def iso7064_11_10(text: str) -> bool:
    """Checks eleven digits by ISO 7064 MOD 11,10: Germany's tax number (BZSt), Croatia's OIB."""
    digits, product = digits_of(text), 10
    for digit in digits[:-1]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return len(digits) == 11 and (11 - product) % 10 == digits[-1]


def es_dni(text: str) -> bool:
    """Checks a number of Spain (DNI and NIE): a letter by the number modulo 23 (Ministerio del Interior)."""
    plain = _compact(text)
    number = int(plain[:-1].translate(str.maketrans("XYZ", "012")))
    return _DNI[number % 23] == plain[-1]


def fi_hetu(text: str) -> bool:
    """Checks a number of Finland (personal identity code): a character by the number modulo 31 (DVV)."""
    return _HETU[_number(digits_of(text[:6] + text[7:10])) % 31] == text[-1].upper()


def fr_nir(text: str) -> bool:
    """Checks a number of France (NIR): 97 minus the number modulo 97, where 2A is 19 and 2B is 18 (INSEE)."""
    plain = _compact(text).replace("2A", "19").replace("2B", "18")
    return len(plain) == 15 and 97 - int(plain[:13]) % 97 == int(plain[13:])


def gb_nino(text: str) -> bool:
    """Checks a British national insurance number by the prefixes that are not given out (HMRC)."""
    return _compact(text)[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def plate(text: str) -> bool:
    """Whether there are letters and digits: a number plate, and not a word."""
    return bool(re.search("[A-Za-z]", text)) and bool(digits_of(text))


def gb_nhs(text: str) -> bool:
    """Checks a number of the United Kingdom (NHS number): modulo 11, weights 10 to 2 (NHS data dictionary)."""
    return _mod11(digits_of(text), (10, 9, 8, 7, 6, 5, 4, 3, 2, 1))


def ie_pps(text: str) -> bool:
    """Checks a number of Ireland (PPS number): a letter by the number modulo 23, weights 8 to 2, and 9 for a second
    letter."""
    plain = _compact(text)
    second = 9 * _PPS.index(plain[8]) if len(plain) == 9 else 0
    return _PPS[(_weighed(digits_of(plain[:7]), range(8, 1, -1)) + second) % 23] == plain[7]


def in_aadhaar(text: str) -> bool:
    """Checks a number of India (Aadhaar): twelve digits, not beginning with 0 or 1, and Verhoeff's check (UIDAI)."""
    digits = digits_of(text)
    return len(digits) == 12 and digits[0] > 1 and verhoeff(digits)


def it_codice(text: str) -> bool:
    """Checks a number of Italy (codice fiscale): a letter by two tables (decree 23.12.1976)."""
    values = [ord(char) - (48 if char.isdigit() else 65) for char in _compact(text)]
    return (sum(_CODICE_ODD[value] for value in values[:15:2]) + sum(values[1:15:2])) % 26 == values[15]


def mx_curp(text: str) -> bool:
    """Checks a number of Mexico (CURP): modulo 10, weights 18 to 2 (RENAPO)."""
    plain = _compact(text)
    return -sum(_CURP.index(char) * (18 - place) for place, char in enumerate(plain[:17])) % 10 == int(plain[17])


def nl_bsn(text: str) -> bool:
    """Checks a number of the Netherlands (BSN): modulo 11, weights 9 to 2 and -1 (RvIG)."""
    return _mod11(digits_of(text), (9, 8, 7, 6, 5, 4, 3, 2, -1))


def no_fodselsnummer(text: str) -> bool:
    """Checks a number of Norway (birth number): two checks modulo 11 (Skatteetaten)."""
    digits = digits_of(text)
    first = _mod11(digits[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1))
    return first and _mod11(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))


def pl_pesel(text: str) -> bool:
    """Checks a number of Poland (PESEL): modulo 10, weights 1 3 7 9 (Ministerstwo Cyfryzacji)."""
    digits = digits_of(text)
    return len(digits) == 11 and _weighed(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def pt_nif(text: str) -> bool:
    """Checks a number of Portugal (NIF): modulo 11, weights 9 to 2, where ten is 0 (Decreto-Lei 463/79)."""
    digits = digits_of(text)
    return len(digits) == 9 and -_weighed(digits[:8], range(9, 1, -1)) % 11 % 10 == digits[8]


def ro_cnp(text: str) -> bool:
    """Checks a number of Romania (CNP): modulo 11, weights 2 7 9 1 4 6 3 5 8 2 7 9, where ten is 1."""
    digits = digits_of(text)
    rest = _weighed(digits[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if rest == 10 else rest) == digits[12]


def se_personnummer(text: str) -> bool:
    """Checks a number of Sweden (personal identity number): Luhn over the last ten digits (Skatteverket)."""
    return luhn_sum(digits_of(text)[-10:])


def sg_nric(text: str) -> bool:
    """Checks a number of Singapore (NRIC and FIN): a letter modulo 11, weights 2 7 6 5 4 3 2, four more for T and G."""
    plain = _compact(text)
    total = _weighed(digits_of(plain), (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(plain[0], 0)
    letters = "JZIHGFEDCBA" if plain[0] in "ST" else "KLJNPQRTUWX" if plain[0] == "M" else "XWUTRQPNMLK"
    return letters[(10 - total % 11) if plain[0] == "M" else total % 11] == plain[-1]


def tr_kimlik(text: str) -> bool:
    """Checks a number of Turkey (identity number): two digits modulo 10 (NVI)."""
    digits = digits_of(text)
    if len(digits) != 11 or not digits[0]:
        return False
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def tw_identity(text: str) -> bool:
    """Checks a number of Taiwan (identity card): the letter is two digits, weights 1 9 8 ... 1 1, modulo 10."""
    plain = _compact(text)
    digits = [*divmod(_TAIWAN.index(plain[0]) + 10, 10), *digits_of(plain[1:])]
    return _weighed(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def za_identity(text: str) -> bool:
    """Checks a number of South Africa (identity number): Luhn over thirteen digits."""
    return luhn_sum(digits_of(text))


def _compact(text: str) -> str:
    return re.sub(r"[^0-9A-Z]", "", text.upper())


def _number(digits: Sequence[int]) -> int:
    return int("".join(map(str, digits)))


def _weighed(digits: Iterable[int], weights: Iterable[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True))


def _cycled(digits: Sequence[int], most: int) -> int:
    """Weights 2, 3, ... from the right, `most` of them and again."""
    return sum(digit * (2 + place % most) for place, digit in enumerate(reversed(digits)))


def _mod11(digits: Sequence[int], weights: Sequence[int]) -> bool:
    return len(digits) == len(weights) and any(digits) and _weighed(digits, weights) % 11 == 0


def _icao(text: str) -> bool:
    """Weights 7 3 1, modulo 10; the last character is the check digit."""
    values = [0 if char == "<" else int(char, 36) for char in text]
    return sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values[:-1])) % 10 == values[-1]
