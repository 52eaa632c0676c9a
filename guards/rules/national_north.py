"""Rules for numbers of people and firms of the British Isles and the Nordic countries."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import words
from patchbay.guards.rules.papers import paper
from patchbay.guards.rules.rule import Rule

_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
_AREAS: Final = (
    "A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GMPV]|JE|K[ATWY]|L[ADELNSU]?"
    "|M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|RGM?|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|ZE"
)
_BRITISH: Final = (
    paper(
        "gb-nino",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]|"
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]-\d{2}-\d{2}-\d{2}-[A-D]",
        valid=v.gb_nino,
        examples=("AB 12 34 56 C", "AB123456C"),
        others=("QQ 12 34 56 C", "AB 12 34 56 E", "GB 12 34 56 C"),
    ),
    paper(
        "gb-nhs",
        r"\d{3}[ -]\d{3}[ -]\d{4}",
        kind="HEALTH_ID",
        valid=v.gb_nhs,
        examples=("NHS number: 943 476 5919", "401-023-2137"),
        others=("NHS number: 943 476 5918", "9434765919"),
    ),
    paper(
        "gb-nhs-named",
        r"\d{10}",
        kind="HEALTH_ID",
        valid=v.gb_nhs,
        near=words("nhs", "national health service", "health services authority", "nhs number", "nhs no"),
        examples=("NHS number: 9434765919",),
        others=("9434765919", "NHS 9434765918"),
    ),
    paper(
        "gb-postcode",
        rf"(?:{_AREAS})\d[\dA-Z]? \d[ABD-HJLNP-UW-Z]{{2}}|GIR 0AA",
        kind="POSTCODE",
        caseless=False,
        examples=("SW1A 1AA", "M1 1AE", "EC1A 1BB"),
        others=("SW1A 1CC", "XX1 1AA", "A 1AA", "SW1A1AA"),
    ),
    paper(
        "gb-postcode-named",
        rf"(?:{_AREAS})\d[\dA-Z]? ?\d[ABD-HJLNP-UW-Z]{{2}}",
        kind="POSTCODE",
        near=words("postcode", "post code", "postal code", "zip", "address", "delivery"),
        examples=("postcode: sw1a1aa",),
        others=("sw1a1aa", "postcode: sw1"),
    ),
    paper(
        "gb-vehicle",
        r"[A-HJ-PR-Y][A-HJ-PR-Y](?:0[2-9]|[1-2]\d|5[1-9]|[67]\d) [A-HJ-PR-Z]{3}",
        kind="VEHICLE",
        caseless=False,
        examples=("AB12 CDE", "LD51 XYZ"),
        others=("AB12 CQE", "AB01 CDE", "IB12 CDE"),
    ),
    paper(
        "gb-vehicle-named",
        r"[A-Z]{2}\d{2} ?[A-Z]{3}|[A-Z]\d{1,3} ?[A-Z]{3}|[A-Z]{3} ?\d{1,3}[A-Z]",
        kind="VEHICLE",
        near=words(
            *("registration", "vehicle registration", "number plate", "licence plate", "license plate", "reg", "vrn"),
            *("reg number", "registration number", "dvla", "plate"),
        ),
        valid=v.plate,
        examples=("number plate AB12CDE", "registration A123 BCD", "vehicle reg: ABC 123D"),
        others=("AB12CDE", "number plate of"),
    ),
    paper(
        "gb-driving-licence",
        r"[A-Z9]{5}\d(?:[05][1-9]|[16][0-2])(?:0[1-9]|[12]\d|3[01])\d[A-Z9]{2}[A-Z0-9][A-Z]{2}(?: ?\d{2})?",
        kind="DRIVER_LICENSE",
        valid=v.numbered,
        examples=("MORGA657054SM9IJ", "MORGA657054SM9IJ 35"),
        others=("MORGA697054SM9IJ", "MORGA657054"),
    ),
    paper(
        "gb-utr",
        r"\d{10}|\d{5} \d{5}",
        kind="TAX_ID",
        near=words("utr", "unique taxpayer", "taxpayer reference", "hmrc"),
        examples=("UTR 12345 67890",),
        others=("12345 67890", "UTR 12345"),
    ),
    paper("ie-pps", r"\d{7}[A-W][A-IW]?", valid=v.ie_pps, examples=("1234567T", "6433435F"), others=("1234567S",)),
)
_NORDIC: Final = (
    paper(
        "se-personnummer",
        rf"(?:19|20)?\d{{2}}{_MONTH}(?:{_DAY}|6[1-9]|[78]\d|9[01])[-+]\d{{4}}",
        valid=v.se_personnummer,
        examples=("811228-9874", "19811228-9874"),
        others=("811228-9875", "811328-9874"),
    ),
    paper(
        "se-personnummer-named",
        rf"(?:19|20)?\d{{2}}{_MONTH}(?:{_DAY}|6[1-9]|[78]\d|9[01])\d{{4}}",
        valid=v.se_personnummer,
        near=words("personnummer", "person nummer", "personal identity number", "samordningsnummer", "pnr", "swedish"),
        examples=("personnummer 8112289874",),
        others=("8112289874", "personnummer 8112289875"),
    ),
    paper(
        "se-organisation",
        r"\d{2}[2-9]\d{3}-\d{4}|\d{2}[2-9]\d{7}",
        kind="TAX_ID",
        valid=w.luhn_any,
        near=words("organisationsnummer", "org nr", "orgnr", "organisation number", "organization number"),
        examples=("organisationsnummer 556016-0680",),
        others=("556016-0680", "org nr 556016-0681"),
    ),
    paper(
        "fi-hetu",
        rf"{_DAY}{_MONTH}\d{{2}}[-+A-FU-Y]\d{{3}}[0-9A-FHJ-NPR-Y]",
        valid=v.fi_hetu,
        examples=("131052-308T",),
        others=("131052-308U", "131352-308T"),
    ),
    paper(
        "fi-business",
        r"\d{7}-\d",
        kind="TAX_ID",
        valid=w.fi_business,
        near=words("y-tunnus", "business id", "vat", "alv", "company"),
        examples=("Y-tunnus 0112038-9",),
        others=("0112038-9", "Y-tunnus 0112038-8"),
    ),
    paper(
        "no-fodselsnummer",
        rf"(?:{_DAY}|[4-7]\d){_MONTH}\d{{2}} ?\d{{5}}",
        valid=v.no_fodselsnummer,
        examples=("151086 95088", "15108695088"),
        others=("151086 95089", "151386 95088"),
    ),
    paper("dk-cpr", rf"{_DAY}{_MONTH}\d{{2}}-\d{{4}}", examples=("211062-5629",), others=("2110625629", "211362-5629")),
    paper(
        "dk-cpr-named",
        rf"{_DAY}{_MONTH}\d{{2}} ?\d{{4}}",
        near=words("cpr", "cpr nummer", "personnummer", "cpr nr"),
        examples=("CPR: 2110625629",),
        others=("2110625629", "CPR 2113625629"),
    ),
    paper(
        "is-kennitala",
        rf"{_DAY}{_MONTH}\d{{2}}-?\d{{4}}",
        near=words("kennitala", "kt"),
        examples=("kennitala 120174-3399",),
        others=("1201743399", "kennitala 121374-3399"),
    ),
)
NORTH: Final[tuple[Rule, ...]] = (*_BRITISH, *_NORDIC)
