"""Rules for national identity numbers. Those without a strict form or check count only after a word that names them."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules.rule import Rule, Validator

_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
_DATE: Final = rf"\d{{2}}{_MONTH}{_DAY}"


def _id(name: str, pattern: str, valid: Validator | None, examples: tuple[str, ...], others: tuple[str, ...]) -> Rule:
    return Rule(
        name=f"id-{name}",
        kind="NATIONAL_ID",
        pattern=rf"\b(?:{pattern})\b",
        caseless=True,
        valid=valid,
        examples=examples,
        others=others,
    )


def _after(words: str, value: str) -> str:
    """Returns the pattern of `value` after one of `words`."""
    return rf"(?:{words})(?: (?:no|nr|num|number|id))?(?: is)?[.:#= ]{{1,3}}{value}"


_AMERICAS: Final = (
    Rule(
        name="us-ssn",
        kind="SSN",
        pattern=r"\b\d{3}(?:-\d{2}-| \d{2} )\d{4}\b",
        valid=v.us_ssn,
        examples=("536-22-8714", "536 22 8714"),
        others=("666-22-8714", "900-22-8714", "536-00-8714", "536-22-0000", "536-22 8714"),
    ),
    Rule(
        name="us-ssn-named",
        kind="SSN",
        pattern=rf"\b{_after('ssn|social security', '[0-9]{9}')}\b",
        caseless=True,
        valid=v.us_ssn,
        examples=("SSN: 536228714", "social security number is 536228714"),
        others=("SSN: 000228714", "536228714"),
    ),
    _id(
        "us-itin",
        r"9\d{2}-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-\d{4}",
        None,
        ("912-70-1234",),
        ("912-93-1234", "812-70-1234"),
    ),
    _id(
        "ca-sin",
        _after("sin|social insurance", r"\d{3}[ -]?\d{3}[ -]?\d{3}"),
        v.ca_sin,
        ("SIN: 123-456-782", "social insurance number 123456782"),
        ("SIN: 123-456-783", "123-456-782"),
    ),
    _id(
        "br-cpf",
        rf"\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}|{_after('cpf', '[0-9]{11}')}",
        v.br_cpf,
        ("529.982.247-25", "CPF 52998224725"),
        ("529.982.247-26", "52998224725", "111.111.111-11"),
    ),
    _id(
        "br-cnpj",
        rf"\d{{2}}\.\d{{3}}\.\d{{3}}/\d{{4}}-\d{{2}}|{_after('cnpj', '[0-9]{14}')}",
        v.br_cnpj,
        ("11.222.333/0001-81", "CNPJ: 11222333000181"),
        ("11.222.333/0001-82", "11222333000181"),
    ),
    _id(
        "mx-curp",
        rf"[A-Z]{{4}}{_DATE}[HMX][A-Z]{{5}}[0-9A-Z]\d",
        v.mx_curp,
        ("BOXW310820HNERXN09",),
        ("BOXW310820HNERXN08",),
    ),
    _id("cl-rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dK]", v.cl_rut, ("12.531.909-2",), ("12.531.909-3", "12.531.909")),
    _id("ar-cuit", r"(?:2[03467]|3[034])-\d{8}-\d", v.ar_cuit, ("20-05536168-2",), ("20-05536168-3", "21-05536168-2")),
)
_EUROPE_NORTH: Final = (
    _id(
        "gb-nino",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        None,
        ("AB 12 34 56 C", "AB123456C"),
        ("QQ 12 34 56 C", "AB 12 34 56 E"),
    ),
    _id(
        "gb-nhs",
        _after("nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}"),
        v.gb_nhs,
        ("NHS number: 943 476 5919",),
        ("NHS number: 943 476 5918", "943 476 5919"),
    ),
    _id("ie-pps", r"\d{7}[A-W][A-IW]?", v.ie_pps, ("1234567T", "6433435F"), ("1234567S",)),
    _id(
        "se-personnummer",
        rf"(?:19|20)?{_DATE}[-+]\d{{4}}",
        v.se_personnummer,
        ("811228-9874", "19811228-9874"),
        ("811228-9875", "811328-9874"),
    ),
    _id(
        "fi-hetu",
        rf"{_DAY}{_MONTH}\d{{2}}[-+A-FU-Y]\d{{3}}[0-9A-FHJ-NPR-Y]",
        v.fi_hetu,
        ("131052-308T",),
        ("131052-308U", "131352-308T"),
    ),
    _id(
        "no-fodselsnummer",
        rf"{_DAY}{_MONTH}\d{{2}} ?\d{{5}}",
        v.no_fodselsnummer,
        ("151086 95088", "15108695088"),
        ("151086 95089", "151386 95088"),
    ),
    _id(
        "dk-cpr",
        rf"{_DAY}{_MONTH}\d{{2}}-\d{{4}}|{_after('cpr', _DAY + _MONTH + '[0-9]{6}')}",
        None,
        ("211062-5629", "CPR: 2110625629"),
        ("2110625629", "211362-5629"),
    ),
)
_EUROPE_WEST: Final = (
    _id(
        "be-national",
        rf"\d{{2}}\.{_MONTH}\.{_DAY}[-.]\d{{3}}[. ]\d{{2}}",
        v.be_national,
        ("85.07.30-033.28", "85.07.30-033 28"),
        ("85.07.30-033.29",),
    ),
    _id(
        "ch-ahv", r"756\.?\d{4}\.?\d{4}\.?\d{2}", v.ch_ahv, ("756.9217.0769.85", "7569217076985"), ("756.9217.0769.84",)
    ),
    _id(
        "de-steuer-id",
        _after(r"steuer-?id|idnr|steuer-?identifikationsnummer|tin", r"[1-9]\d(?: ?\d{3}){3}"),
        v.iso7064_11_10,
        ("Steuer-ID: 36 574 261 809", "IdNr. 36574261809"),
        ("Steuer-ID: 36 574 261 808", "36574261809"),
    ),
    _id(
        "fr-nir",
        rf"[12] ?\d{{2}} ?(?:{_MONTH}|[2-9]\d) ?(?:\d{{2}}|2[AB]) ?\d{{3}} ?\d{{3}} ?\d{{2}}",
        v.fr_nir,
        ("2 55 08 14 168 025 38", "255081416802538"),
        ("2 55 08 14 168 025 39",),
    ),
    _id(
        "nl-bsn",
        _after("bsn|burgerservicenummer|sofinummer", r"\d{9}"),
        v.nl_bsn,
        ("BSN: 111222333", "burgerservicenummer is 111222333"),
        ("BSN: 111222334", "111222333"),
    ),
)
_EUROPE_SOUTH_EAST: Final = (
    _id("es-dni", r"\d{8}[ -]?[A-HJ-NP-TV-Z]", v.es_dni, ("12345678Z", "12345678-z"), ("12345678A",)),
    _id("es-nie", r"[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]", v.es_dni, ("X1234567L", "X-1234567-L"), ("X1234567M",)),
    _id(
        "it-codice-fiscale",
        r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
        v.it_codice,
        ("RSSMRA85T10A562S",),
        ("RSSMRA85T10A562T", "RSSMRA85T10A562"),
    ),
    _id(
        "pt-nif",
        _after("nif|contribuinte", r"[1-35689]\d{2} ?\d{3} ?\d{3}"),
        v.pt_nif,
        ("NIF 501964843", "contribuinte no. 501 964 843"),
        ("NIF 501964842", "501964843"),
    ),
    _id(
        "pl-pesel",
        rf"\d{{2}}(?:[02468][1-9]|[13579][0-2]){_DAY}\d{{5}}",
        v.pl_pesel,
        ("44051401359",),
        ("44051401358", "44131401359"),
    ),
    _id(
        "cz-rodne",
        rf"\d{{2}}(?:[05][1-9]|[16][0-2]|[27][1-9]|[38][0-2]){_DAY}/\d{{4}}",
        v.cz_rodne,
        ("710319/2745",),
        ("710319/2746",),
    ),
    _id("ro-cnp", rf"[1-9]{_DATE}\d{{6}}", v.ro_cnp, ("1630615123457",), ("1630615123458", "1631315123457")),
    _id(
        "hr-oib", _after("oib", r"\d{11}"), v.iso7064_11_10, ("OIB: 33392005961",), ("OIB: 33392005962", "33392005961")
    ),
    _id(
        "tr-kimlik",
        _after(r"tckn|tc kimlik|kimlik", r"[1-9]\d{10}"),
        v.tr_kimlik,
        ("TC Kimlik No: 17291716060",),
        ("TC Kimlik No: 17291716061", "17291716060"),
    ),
)
_ASIA_PACIFIC_AFRICA: Final = (
    _id(
        "in-aadhaar",
        rf"[2-9]\d{{3}}[ -]\d{{4}}[ -]\d{{4}}|{_after('aadhaar|aadhar|uid', '[2-9][0-9]{11}')}",
        v.in_aadhaar,
        ("2341 2341 2346", "Aadhaar: 234123412346"),
        ("2341 2341 2347", "234123412346"),
    ),
    _id("in-pan", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", None, ("AFZPK7190K",), ("AFZXK7190K", "AFZPK7190")),
    _id(
        "cn-resident",
        rf"[1-9]\d{{5}}(?:19|20){_DATE}\d{{3}}[\dX]",
        v.cn_resident,
        ("11010519491231002X",),
        ("110105194912310021", "11010519491331002X"),
    ),
    _id("kr-rrn", rf"{_DATE}-[1-8]\d{{6}}", None, ("971013-1234567",), ("971313-1234567", "971013-9234567")),
    _id(
        "jp-my-number",
        _after("my number|individual number", r"\d{4}[ -]?\d{4}[ -]?\d{4}"),
        None,
        ("My Number: 1234 5678 9018",),
        ("1234 5678 9018", "My Number: 1234"),
    ),
    _id("tw-identity", r"[A-Z][1289]\d{8}", v.tw_identity, ("A123456789",), ("A123456788", "A323456789")),
    _id("sg-nric", r"[STFG]\d{7}[A-Z]", v.sg_nric, ("S1234567D",), ("S1234567E",)),
    Rule(
        name="id-hk-identity",
        kind="NATIONAL_ID",
        pattern=r"\b[A-Z]{1,2}\d{6}\([\dA]\)",
        examples=("G123456(A)",),
        others=("G123456(B)", "g123456"),
    ),
    _id(
        "au-tfn",
        _after("tfn|tax file", r"\d{3} ?\d{3} ?\d{3}"),
        v.au_tfn,
        ("TFN: 123 456 782", "tax file number 123456782"),
        ("TFN: 123 456 783", "123 456 782"),
    ),
    _id(
        "za-identity",
        rf"{_DATE}\d{{4}}[01][89]\d",
        v.za_identity,
        ("7503305044089",),
        ("7503305044088", "7513305044089"),
    ),
)
_PASSPORTS: Final = (
    Rule(
        name="passport",
        kind="PASSPORT",
        pattern=rf"\b{_after('passport|reisepass|passeport|pasaporte|passaporto', '[A-Z0-9]{6,9}')}\b"
        r"|\b(?:passport|reisepass)-?(?:nr|nummer|number)[.:#= ]{1,3}[A-Z0-9]{6,9}\b",
        caseless=True,
        valid=v.numbered,
        examples=("passport no. 533380006", "Passport: C01X00T47", "Reisepassnummer: C01X00T47"),
        others=("passport number holders", "passport: 1234", "533380006"),
    ),
    Rule(
        name="passport-lines",
        kind="PASSPORT",
        pattern=r"\b[A-Z0-9][A-Z0-9<]{8}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}[0-9<]\d\b",
        valid=v.passport_lines,
        examples=("L898902C36UTO7408122F1204159ZE184226B<<<<<10",),
        others=("L898902C36UTO7408122F1204159ZE184226B<<<<<11",),
    ),
)
NATIONAL: Final[tuple[Rule, ...]] = (
    *_AMERICAS,
    *_EUROPE_NORTH,
    *_EUROPE_WEST,
    *_EUROPE_SOUTH_EAST,
    *_ASIA_PACIFIC_AFRICA,
    *_PASSPORTS,
)
