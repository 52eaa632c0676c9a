"""Rules for numbers of people and firms of Asia, the Pacific and Africa."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import words
from patchbay.guards.rules.papers import paper
from patchbay.guards.rules.rule import Rule

_DATE: Final = r"\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_STATES: Final = (
    "A[NPRS]|BR|C[GH]|D[DLN]|GA|GJ|H[PR]|J[HK]|K[AL]|L[AD]|M[HLNPZ]|NL|O[DR]|P[BY]|RJ|SK|T[GNRS]|U[AKP]|W[B]"
)
_INDIA: Final = (
    paper(
        "in-aadhaar",
        r"[2-9]\d{3}[ :-]\d{4}[ :-]\d{4}",
        valid=v.in_aadhaar,
        examples=("2341 2341 2346",),
        others=("2341 2341 2347", "234123412346"),
    ),
    paper(
        "in-aadhaar-named",
        r"[2-9]\d{11}",
        valid=v.in_aadhaar,
        near=words("aadhaar", "aadhar", "uid", "uidai", "aadhaar card"),
        examples=("Aadhaar: 234123412346",),
        others=("234123412346", "Aadhaar: 234123412347"),
    ),
    paper(
        "in-pan",
        r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]",
        kind="TAX_ID",
        examples=("AFZPK7190K",),
        others=("AFZXK7190K", "AFZPK7190"),
    ),
    paper(
        "in-gstin",
        r"[0-3]\d[A-Z]{5}\d{4}[A-Z][A-Z0-9]{3}",
        kind="TAX_ID",
        valid=w.in_gstin,
        examples=("27AAPFU0939F1ZV",),
        others=("27AAPFU0939F1ZW",),
    ),
    paper(
        "in-voter",
        r"[A-Z]{3}\d{7}",
        near=words("voter", "epic", "elector", "voter id", "voters"),
        examples=("voter id: KSD1287349",),
        others=("KSD1287349", "voter id KSD12"),
    ),
    paper(
        "in-vehicle",
        rf"(?:{_STATES}) ?-?\d{{1,2}} ?-?[A-Z]{{1,3}} ?-?\d{{4}}|\d{{2}} ?BH ?\d{{4}} ?[A-Z]{{1,2}}",
        kind="VEHICLE",
        valid=v.plate,
        examples=("KA01AB1234", "MH 12 DE 1433", "22BH6517A"),
        others=("XX01AB1234", "KA01AB123"),
    ),
)
_EAST: Final = (
    paper(
        "cn-resident",
        rf"[1-9]\d{{5}}(?:19|20){_DATE}\d{{3}}[\dX]",
        valid=v.cn_resident,
        examples=("11010519491231002X",),
        others=("110105194912310021", "11010519491331002X"),
    ),
    paper(
        "kr-rrn",
        rf"{_DATE}-?\d{{7}}",
        valid=w.kr_rrn,
        examples=("960121-1234561", "9601211234561"),
        others=("971313-1234567", "960121-1234564"),
    ),
    paper(
        "kr-rrn-named",
        rf"{_DATE}-[1-8]\d{{6}}",
        near=words(
            "rrn",
            "resident registration",
            "frn",
            "foreigner registration",
            "\uc8fc\ubbfc\ub4f1\ub85d\ubc88\ud638",
            "\uc678\uad6d\uc778\ub4f1\ub85d\ubc88\ud638",
        ),
        examples=("RRN 971013-1234567", "\uc8fc\ubbfc\ub4f1\ub85d\ubc88\ud638 971013-1234567"),
        others=("971013-1234567", "RRN 971313-1234567"),
    ),
    paper(
        "kr-brn",
        r"\d{3}-\d{2}-\d{5}",
        kind="TAX_ID",
        valid=w.kr_brn,
        examples=("220-81-62517",),
        others=("220-81-62518",),
    ),
    paper(
        "kr-driver-license",
        r"(?:1[1-9]|2[0-8])-?\d{2}-?\d{6}-?\d{2}",
        kind="DRIVER_LICENSE",
        near=words(
            "driver license",
            "driver's license",
            "driving licence",
            "\uc6b4\uc804\uba74\ud5c8",
            "\uc6b4\uc804\uba74\ud5c8\ubc88\ud638",
            "license",
        ),
        examples=("\uc6b4\uc804\uba74\ud5c8 11-22-123456-01", "driver license 112212345601"),
        others=("112212345601", "driver license 11-22"),
    ),
    paper(
        "jp-my-number",
        r"\d{4}[ -]?\d{4}[ -]?\d{4}",
        valid=w.jp_number,
        near=words(
            "my number",
            "individual number",
            "\u30de\u30a4\u30ca\u30f3\u30d0\u30fc",
            "\u500b\u4eba\u756a\u53f7",
            "mynumber",
        ),
        examples=("My Number: 1234 5678 9018",),
        others=("1234 5678 9018", "My Number: 1234 5678 9019"),
    ),
    paper(
        "tw-identity",
        r"[A-Z][1289]\d{8}",
        valid=v.tw_identity,
        examples=("A123456789",),
        others=("A123456788", "A323456789"),
    ),
    paper(
        "hk-identity",
        r"[A-Z]{1,2}\d{6} ?\([\dA]",
        caseless=False,
        valid=w.hk_identity,
        examples=("G123456(A)", "A123456(3)"),
        others=("G123456(B)", "A123456(4)"),
    ),
    paper(
        "th-tnin",
        r"[1-8]-\d{4}-\d{5}-\d{2}-\d|[1-8] \d{4} \d{5} \d{2} \d",
        valid=w.th_tnin,
        examples=("1-1020-01234-56-0",),
        others=("1-1020-01234-56-8",),
    ),
    paper(
        "th-tnin-named",
        r"[1-8]\d{12}",
        valid=w.th_tnin,
        near=words(
            "tnin",
            "thai national id",
            "thai id",
            "thai",
            "\u0e1a\u0e31\u0e15\u0e23\u0e1b\u0e23\u0e30\u0e0a\u0e32\u0e0a\u0e19",
            "national id",
            "citizen id",
        ),
        examples=("Thai national ID 1102001234560",),
        others=("1102001234560", "Thai ID 1102001234568"),
    ),
    paper("sg-nric", r"[STFGM]\d{7}[A-Z]", valid=v.sg_nric, examples=("S1234567D",), others=("S1234567E",)),
    paper(
        "sg-uen",
        r"\d{8}[A-Z]|(?:19|20)\d{7}[A-Z]|[TSR]\d{2}[A-Z]{2}\d{4}[A-Z]",
        kind="TAX_ID",
        caseless=False,
        valid=w.sg_uen,
        examples=("53125226D", "201434292D", "T01FC6132D"),
        others=("53125226E", "201434292E", "T01FC6132E"),
    ),
    paper(
        "my-nric",
        rf"{_DATE}-\d{{2}}-\d{{4}}",
        examples=("880101-14-5566",),
        others=("881301-14-5566", "880101145566"),
    ),
    paper(
        "id-nik",
        r"[1-9]\d{5}[0-7]\d(?:0[1-9]|1[0-2])\d{6}",
        near=words("nik", "ktp", "nomor induk"),
        examples=("NIK 3171015001900001",),
        others=("3171015001900001", "NIK 3171"),
    ),
    paper(
        "pk-cnic", r"[1-7]\d{4}-\d{7}-\d", examples=("42201-1234567-1",), others=("42201-123456-1", "02201-1234567-1")
    ),
)
_PACIFIC: Final = (
    paper(
        "au-tfn",
        r"\d{3}[ -]\d{3}[ -]\d{3}|\d{9}",
        kind="TAX_ID",
        valid=v.au_tfn,
        near=words("tfn", "tax file", "tax file number"),
        examples=("TFN: 123 456 782", "tax file number 123456782"),
        others=("TFN: 123 456 783", "123 456 782"),
    ),
    paper(
        "au-abn",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        kind="TAX_ID",
        valid=w.au_abn,
        examples=("51 824 753 556", "51824753556"),
        others=("51 824 753 557", "51824753557"),
    ),
    paper(
        "au-acn",
        r"\d{3}[ -]?\d{3}[ -]?\d{3}",
        kind="TAX_ID",
        valid=w.au_acn,
        near=words("acn", "australian company", "company number"),
        examples=("ACN 005 499 981", "ACN: 006249976"),
        others=("005 499 981", "ACN 005 499 982"),
    ),
    paper(
        "au-medicare",
        r"[2-6]\d{3}[ -]\d{5}[ -]\d(?:[ /-]\d)?",
        kind="HEALTH_ID",
        valid=w.au_medicare,
        examples=("2123 45670 1", "Medicare 2123-45670-1"),
        others=("2123 45671 1", "2123456701"),
    ),
    paper(
        "au-medicare-named",
        r"[2-6]\d{9,10}",
        kind="HEALTH_ID",
        valid=w.au_medicare,
        near=words("medicare", "medicare number"),
        examples=("Medicare 2123456701",),
        others=("2123456701", "Medicare 2123456711"),
    ),
    paper(
        "nz-ird",
        r"\d{2,3}[ -]?\d{3}[ -]?\d{3}",
        kind="TAX_ID",
        valid=w.nz_ird,
        near=words("ird", "ird number", "inland revenue"),
        examples=("IRD 49-091-850",),
        others=("49-091-850", "IRD 49-091-851"),
    ),
)
_AFRICA_AND_GULF: Final = (
    paper(
        "za-identity",
        rf"{_DATE}\d{{4}}[01][89]\d",
        valid=v.za_identity,
        examples=("7503305044089",),
        others=("7503305044088", "7513305044089"),
    ),
    paper(
        "ng-nin",
        r"\d{11}",
        near=words("nin", "national identification number", "bvn", "nigeria", "nimc"),
        examples=("NIN: 12345678901",),
        others=("12345678901", "NIN: 1234"),
    ),
    paper(
        "eg-identity",
        rf"[23]{_DATE}\d{{7}}",
        near=words("egyptian", "national id", "\u0627\u0644\u0631\u0642\u0645 \u0627\u0644\u0642\u0648\u0645\u064a"),
        examples=("Egyptian national ID 29001011234567",),
        others=("29001011234567", "national ID 29013011234567"),
    ),
    paper(
        "ae-emirates",
        r"784-?\d{4}-?\d{7}-?\d",
        valid=w.luhn_any,
        examples=("784-1980-1234567-8",),
        others=("784-1980-1234567-7",),
    ),
    paper(
        "sa-identity",
        r"[12]\d{9}",
        valid=w.luhn_any,
        near=words("iqama", "saudi id", "saudi", "national id", "\u0647\u0648\u064a\u0629"),
        examples=("Iqama 1012345672",),
        others=("1012345672", "Iqama 1012345673"),
    ),
    paper("gh-card", r"GHA-\d{9}-\d", examples=("GHA-123456789-0",), others=("GHA-12345678-0",)),
    paper(
        "ir-identity",
        r"\d{10}",
        valid=w.ir_identity,
        near=words("code melli", "kode melli", "melli code", "\u06a9\u062f \u0645\u0644\u06cc"),
        examples=("code melli 0084575948",),
        others=("0084575948", "code melli 0084575949"),
    ),
)
ASIA: Final[tuple[Rule, ...]] = (*_INDIA, *_EAST, *_PACIFIC, *_AFRICA_AND_GULF)
