"""Rules for numbers of people and firms of the Americas."""

import re
from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import Near, words
from patchbay.guards.rules.papers import paper
from patchbay.guards.rules.rule import Rule

_DATE: Final = r"\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_SSN: Final = words(
    *("ssn", "ssns", "social security", "social security number", "soc sec", "ssid", "social security no"),
    "social number",
)
_ITIN: Final = words("itin", "individual taxpayer", "taxpayer id", "tax id", "taxpayer identification", "tax payer")
# In small letters alone it is the sine, and Spanish for `without`.
_SIN: Final = Near(
    re.compile(r"\bSIN\b|\bsin[\"']?\s{0,2}[:=>|,;\t]|(?i:social.?insurance|assurance.?sociale|\bNAS\b)"),
    ("sin", "social", "assurance", "nas"),
)
_LICENCE: Final = words(
    *("driver license", "drivers license", "driver licence", "drivers licence", "driving licence", "driving license"),
    *("driver's license", "driver's licence", "license number", "licence number", "license no", "permit number"),
    *("dl", "dl number", "dln", "lic#", "cdl", "driver id", "drivers permit", "learner permit", "driver's permit"),
)
UNITED_STATES: Final = (
    paper(
        "us-ssn",
        r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}|\d{3}\.\d{2}\.\d{4}",
        kind="SSN",
        valid=w.us_ssn_given,
        examples=("536-22-8714", "536 22 8714", "536.22.8714"),
        others=("666-22-8714", "900-22-8714", "536-00-8714", "536-22-0000", "536-22 8714", "078-05-1120"),
    ),
    paper(
        "us-ssn-named",
        r"\d{9}|\d{5}-\d{4}|\d{3}-\d{6}|\d{3} ?- ?\d{2} ?- ?\d{4}",
        kind="SSN",
        valid=w.us_ssn_given,
        near=_SSN,
        examples=("SSN: 536228714", "social security number is 53622-8714", '{"ssn": "536228714"}'),
        others=("SSN: 000228714", "536228714", "social 536228714"),
    ),
    paper(
        "us-itin",
        r"9\d{2}-(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-\d{4}|9\d{2} (?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9]) \d{4}",
        examples=("912-70-1234", "912 70 1234"),
        others=("912-93-1234", "812-70-1234"),
    ),
    paper(
        "us-itin-named",
        r"9\d{2}-?(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])-?\d{4}",
        near=_ITIN,
        examples=("ITIN 912701234", "my tax id is 91270-1234"),
        others=("912701234", "ITIN 912931234"),
    ),
    paper(
        "us-driver-license",
        r"[A-Z]{0,2}\d{1,4}(?:[ -]\d{1,4}){1,4}|[A-Z]{0,9}[* -]?\d{1,13}(?:[A-Z]{1,6}\d{0,5})?",
        kind="DRIVER_LICENSE",
        valid=w.licence,
        near=_LICENCE,
        examples=("my driver license is H12234567", "DL: C12345678", "driver's license number: D123-456-78-901-0"),
        others=("H12234567", "driver license number"),
    ),
    paper(
        "us-npi",
        r"[12]\d{9}|[12]\d{3}[ -]\d{3}[ -]\d{3}",
        kind="HEALTH_ID",
        valid=w.us_npi,
        near=words("npi", "national provider", "provider id", "provider", "prescriber", "physician"),
        examples=("NPI 1234567893", "national provider identifier: 1234-567-893"),
        others=("1234567893", "NPI 1234567894"),
    ),
    paper(
        "us-mbi",
        r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}",
        kind="HEALTH_ID",
        examples=("1EG4-TE5-MK73", "1EG4TE5MK73"),
        others=("1SG4-TE5-MK73", "0EG4TE5MK73"),
    ),
    paper(
        "us-ein",
        r"\d{2}-?\d{7}",
        kind="TAX_ID",
        near=words("ein", "employer identification", "fein", "federal tax id", "tax id"),
        examples=("EIN: 12-3456789",),
        others=("12-3456789", "EIN 12-345"),
    ),
)
_OTHERS: Final = (
    paper(
        "ca-sin",
        r"\d{3}[ -]?\d{3}[ -]?\d{3}",
        valid=v.ca_sin,
        near=_SIN,
        examples=("SIN: 123-456-782", "social insurance number 123456782"),
        others=("SIN: 123-456-783", "123-456-782"),
    ),
    paper(
        "ca-postcode",
        r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d",
        kind="POSTCODE",
        near=words("postal code", "postcode", "code postal", "zip", "address", "adresse"),
        examples=("postal code K1A 0B1",),
        others=("K1A 0B1", "postal code K1A"),
    ),
    paper(
        "br-cpf",
        r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11}",
        valid=v.br_cpf,
        examples=("529.982.247-25", "CPF 52998224725"),
        others=("529.982.247-26", "52998224726", "111.111.111-11"),
    ),
    paper(
        "br-cnpj",
        r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}|\d{14}",
        kind="TAX_ID",
        valid=v.br_cnpj,
        examples=("11.222.333/0001-81", "CNPJ: 11222333000181"),
        others=("11.222.333/0001-82", "11222333000182"),
    ),
    paper(
        "mx-curp",
        rf"[A-Z]{{4}}{_DATE}[HMX][A-Z]{{5}}[0-9A-Z]\d",
        valid=v.mx_curp,
        examples=("BOXW310820HNERXN09",),
        others=("BOXW310820HNERXN08",),
    ),
    paper(
        "mx-rfc",
        rf"[A-Z]{{3,4}}{_DATE}[A-Z0-9]{{2}}[0-9A]",
        kind="TAX_ID",
        near=words("rfc", "registro federal", "contribuyente"),
        examples=("RFC: GODE561231GR8",),
        others=("GODE561231GR8", "RFC: GODE"),
    ),
    paper(
        "cl-rut",
        r"\d{1,2}\.\d{3}\.\d{3}-[\dK]",
        valid=v.cl_rut,
        examples=("12.531.909-2",),
        others=("12.531.909-3", "12.531.909"),
    ),
    paper(
        "cl-rut-named",
        r"\d{7,8}-?[\dK]",
        valid=v.cl_rut,
        near=words("rut", "run"),
        examples=("RUT 12531909-2",),
        others=("RUT 12531909-3", "12531909-2"),
    ),
    paper(
        "ar-cuit",
        r"(?:2[03467]|3[034])-\d{8}-\d",
        valid=v.ar_cuit,
        examples=("20-05536168-2",),
        others=("20-05536168-3", "21-05536168-2"),
    ),
    paper(
        "ar-dni",
        r"\d{2}\.?\d{3}\.?\d{3}",
        near=words("dni", "documento nacional"),
        examples=("DNI 12.345.678",),
        others=("12.345.678", "DNI 12.345"),
    ),
    paper(
        "co-cedula",
        r"\d{1,3}(?:\.?\d{3}){2,3}",
        near=words("cedula", "cedula de ciudadania", "cc no"),
        examples=("cédula 1.032.456.789",),
        others=("1.032.456.789", "cédula 12"),
    ),
    paper(
        "ec-cedula",
        r"\d{10}",
        valid=w.ec_cedula,
        near=words("cedula", "ci", "identidad"),
        examples=("cédula: 1710034065",),
        others=("1710034065", "cédula: 0"),
    ),
)
AMERICAS: Final[tuple[Rule, ...]] = (*UNITED_STATES, *_OTHERS)
