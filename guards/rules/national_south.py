"""Rules for numbers of people and firms of Italy, Spain, Portugal, Greece and Turkey."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import words
from patchbay.guards.rules.papers import paper
from patchbay.guards.rules.rule import Rule

SOUTH: Final[tuple[Rule, ...]] = (
    paper(
        "es-dni",
        r"\d{1,2}\.\d{3}\.\d{3}[ -]?[A-HJ-NP-TV-Z]|\d{7,8}[ -]?[A-HJ-NP-TV-Z]",
        valid=v.es_dni,
        examples=("12345678Z", "12345678-z", "12.345.678-Z"),
        others=("12345678A",),
    ),
    paper(
        "es-nie",
        r"[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]",
        valid=v.es_dni,
        examples=("X1234567L", "X-1234567-L"),
        others=("X1234567M",),
    ),
    paper(
        "es-social",
        r"\d{2}[ /-]?\d{7,8}[ /-]?\d{2}",
        valid=w.es_social,
        near=words("seguridad social", "numero de la seguridad social", "nss", "naf", "afiliacion"),
        examples=("Seguridad Social 28 12345678 40",),
        others=("28 12345678 40", "NSS 28 12345678 41"),
    ),
    paper(
        "it-codice-fiscale",
        r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
        valid=v.it_codice,
        examples=("RSSMRA85T10A562S",),
        others=("RSSMRA85T10A562T", "RSSMRA85T10A562"),
    ),
    paper(
        "it-vat",
        r"(?:IT ?)?\d{11}",
        kind="TAX_ID",
        valid=w.it_vat,
        near=words("partita iva", "piva", "p.iva", "p. iva", "vat", "vat number", "iva", "codice fiscale"),
        examples=("Partita IVA 01333550323", "P.IVA: IT01333550323"),
        others=("01333550323", "P.IVA 01333550324"),
    ),
    paper(
        "it-vat-code",
        r"IT ?\d{11}",
        kind="TAX_ID",
        valid=w.it_vat,
        examples=("IT01333550323",),
        others=("IT01333550324",),
    ),
    paper(
        "it-identity",
        r"[A-Z]{2} ?\d{7}|\d{7} ?[A-Z]{2}|[A-Z]{2} ?\d{5} ?[A-Z]{2}",
        valid=v.numbered,
        near=words(
            *("carta di identita", "carta d'identita", "carta identita", "identita", "cie", "identity card"),
            *("documento", "carta", "elettronica", "rilascio"),
        ),
        examples=("Carta d'identit\u00e0 AA1234567", "CIE: CA12345AA"),
        others=("AA1234567", "CIE: 1234"),
    ),
    paper(
        "it-driver-license",
        r"[A-Z]{2}\d{7}[A-Z]|U1[A-Z0-9]{7}[A-Z]",
        kind="DRIVER_LICENSE",
        valid=v.numbered,
        near=words("patente", "patente di guida", "licenza", "patenti", "licenze", "driver license", "driving licence"),
        examples=("patente AA0123456B",),
        others=("AA0123456B", "patente AA01"),
    ),
    paper(
        "pt-nif",
        r"[1-35689]\d{2} ?\d{3} ?\d{3}",
        kind="TAX_ID",
        valid=v.pt_nif,
        near=words("nif", "contribuinte", "numero fiscal", "nipc", "numero de contribuinte"),
        examples=("NIF 501964843", "contribuinte no. 501 964 843"),
        others=("NIF 501964842", "501964843"),
    ),
    paper("pt-vat", r"PT ?\d{9}", kind="TAX_ID", valid=v.pt_nif, examples=("PT501964843",), others=("PT501964842",)),
    paper(
        "gr-amka",
        r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{7}",
        valid=w.luhn_any,
        near=words("amka", "\u03b1\u03bc\u03ba\u03b1"),
        examples=("AMKA 01018012342",),
        others=("01018012342", "AMKA 01018012343"),
    ),
    paper(
        "tr-kimlik",
        r"[1-9]\d{10}",
        valid=v.tr_kimlik,
        examples=("TC Kimlik No: 17291716060", "10000000146"),
        others=("TC Kimlik No: 17291716061",),
    ),
    paper(
        "tr-vehicle",
        r"(?:0[1-9]|[1-7]\d|8[01]) ?[A-Z]{1,3} ?\d{2,5}",
        kind="VEHICLE",
        near=words("plaka", "arac", "plate"),
        examples=("plaka 34 ABC 123",),
        others=("34 ABC 123", "plaka 34"),
    ),
    paper(
        "il-identity",
        r"\d{9}|\d{8}-\d",
        valid=w.luhn_any,
        near=words(
            "teudat zehut",
            "israeli id",
            "id number",
            "\u05ea.\u05d6",
            "\u05ea\u05e2\u05d5\u05d3\u05ea \u05d6\u05d4\u05d5\u05ea",
            "israel",
        ),
        examples=("Teudat Zehut 123456782",),
        others=("123456782", "Teudat Zehut 123456783"),
    ),
)
