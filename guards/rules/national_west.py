"""Rules for numbers of people and firms of Germany, France and their neighbours."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import words
from patchbay.guards.rules.papers import paper
from patchbay.guards.rules.rule import Rule

_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
_GERMAN: Final = (
    paper(
        "de-steuer-id",
        r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}",
        kind="TAX_ID",
        valid=v.iso7064_11_10,
        near=words(
            *("steuer id", "steueridentifikationsnummer", "idnr", "identifikationsnummer", "tin", "steuerliche"),
            *("steuer identifikationsnummer", "steuernummer", "tax id", "id nr", "steuer idnr", "tax number"),
        ),
        examples=("Steuer-ID: 36 574 261 809", "IdNr. 36574261809"),
        others=("Steuer-ID: 36 574 261 808", "36574261809"),
    ),
    paper(
        "de-steuernummer",
        r"\d{2,3}/\d{3,4}/\d{4,5}|\d{13}",
        kind="TAX_ID",
        near=words("steuernummer", "st.nr", "st-nr", "st. nr", "stnr", "steuer nr", "finanzamt"),
        examples=("Steuernummer 93/815/08152",),
        others=("93/815/08152", "Steuernummer 93"),
    ),
    paper(
        "de-pension",
        r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
        valid=w.de_pension,
        examples=("15070649C103", "15 070649 C 103"),
        others=("15070649C104", "15139949C103"),
    ),
    paper(
        "de-health",
        r"[A-Z]\d{9}",
        kind="HEALTH_ID",
        valid=w.de_health,
        near=words(
            *("krankenversicherung", "krankenversichertennummer", "versichertennummer", "kvnr", "krankenkasse"),
            *("health insurance", "gesundheitskarte", "egk", "versicherten nr", "krankenversicherungsnummer"),
        ),
        examples=("KVNR A123456780",),
        others=("A123456780", "KVNR A123456781"),
    ),
    paper(
        "de-identity",
        r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}\d?|T\d{8}",
        valid=v.numbered,
        near=words(
            *(
                "personalausweis",
                "ausweis",
                "ausweisnummer",
                "personalausweisnummer",
                "identity card",
                "id card",
                "perso",
            ),
            *("ausweis nr", "personalausweis nr"),
        ),
        examples=("Personalausweis T220001293", "Ausweisnummer: L01X00T471"),
        others=("T220001293", "Ausweis LMNPRTVWX"),
    ),
    paper(
        "de-identity-checked",
        r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}\d(?:D<<)?",
        caseless=False,
        valid=w.de_identity,
        examples=("L01X00T471", "C01X00T478"),
        others=("L01X00T472", "T220001294"),
    ),
    paper(
        "de-vat",
        r"DE ?\d{9}|DE \d{3} \d{3} \d{3}",
        kind="TAX_ID",
        valid=w.vat_de,
        examples=("DE136695976",),
        others=("DE136695977", "DE1366959"),
    ),
    paper(
        "de-vehicle",
        r"[A-Z]{1,3}-[A-Z]{1,2} ?\d{1,4}[EH]?",
        kind="VEHICLE",
        near=words("kennzeichen", "kfz", "kfz kennzeichen", "nummernschild", "license plate"),
        examples=("Kennzeichen: B-MW 1234",),
        others=("B-MW 1234", "Kennzeichen: B"),
    ),
    paper(
        "de-driver-license",
        r"[A-Z0-9]{3}\d[A-Z0-9]{5}[0-9X][A-Z0-9]",
        kind="DRIVER_LICENSE",
        valid=v.numbered,
        near=words("fuhrerschein", "f\u00fchrerscheinnummer", "fuehrerschein", "fuehrerscheinnummer", "fahrerlaubnis"),
        examples=("F\u00fchrerschein B072RRE2I55",),
        others=("B072RRE2I55", "F\u00fchrerschein weg"),
    ),
    paper(
        "at-social",
        r"[1-9]\d{3} ?\d{6}",
        valid=w.at_social,
        near=words("svnr", "sozialversicherungsnummer", "sv nummer", "sv nr", "versicherungsnummer"),
        examples=("SVNR 1237 010180",),
        others=("1237 010180", "SVNR 1238 010180"),
    ),
    paper(
        "at-vat",
        r"ATU\d{8}",
        kind="TAX_ID",
        examples=("ATU12345675",),
        others=("ATU1234567",),
    ),
    paper(
        "ch-ahv",
        r"756\.?\d{4}\.?\d{4}\.?\d{2}",
        valid=v.ch_ahv,
        examples=("756.9217.0769.85", "7569217076985"),
        others=("756.9217.0769.84",),
    ),
)
_FRENCH: Final = (
    paper(
        "fr-nir",
        rf"[12] ?\d{{2}} ?(?:{_MONTH}|[2-9]\d) ?(?:\d{{2}}|2[AB]) ?\d{{3}} ?\d{{3}} ?\d{{2}}",
        valid=v.fr_nir,
        examples=("2 55 08 14 168 025 38", "255081416802538"),
        others=("2 55 08 14 168 025 39",),
    ),
    paper(
        "fr-siret",
        r"\d{3} ?\d{3} ?\d{3} ?\d{5}|\d{3} ?\d{3} ?\d{3}",
        kind="TAX_ID",
        valid=w.luhn_any,
        near=words("siret", "siren", "rcs"),
        examples=("SIRET 732 829 320 00074", "SIREN 732829320"),
        others=("732 829 320 00074", "SIREN 732829321"),
    ),
    paper(
        "fr-identity",
        r"\d{12}|[A-Z][0-9A-Z]?\d[0-9A-Z]{6,7}",
        valid=v.numbered,
        near=words("carte d'identite", "carte nationale", "cni", "carte identite", "piece d'identite"),
        examples=("CNI 880692310285", "CNI: X4R456PF4"),
        others=("880692310285", "CNI perdue"),
    ),
    paper("fr-vat", r"FR ?[0-9A-HJ-NP-Z]{2} ?\d{9}", kind="TAX_ID", examples=("FR40303265045",), others=("FR403032",)),
    paper(
        "fr-vehicle",
        r"[A-HJ-NP-TV-Z]{2}-\d{3}-[A-HJ-NP-TV-Z]{2}",
        kind="VEHICLE",
        caseless=False,
        examples=("AB-123-CD",),
        others=("AO-123-CD", "AB-12-CD"),
    ),
)
_LOW: Final = (
    paper(
        "nl-bsn",
        r"\d{9}|\d{4}[ .]\d{2}[ .]\d{3}",
        valid=v.nl_bsn,
        near=words("bsn", "burgerservicenummer", "sofinummer", "bsn nummer", "sofi", "citizen service number"),
        examples=("BSN: 111222333", "burgerservicenummer is 111222333"),
        others=("BSN: 111222334", "111222333"),
    ),
    paper("nl-vat", r"NL ?\d{9}B\d{2}", kind="TAX_ID", examples=("NL123456782B90",), others=("NL123456782",)),
    paper(
        "be-national",
        rf"\d{{2}}\.{_MONTH}\.{_DAY}[-.]\d{{3}}[. ]\d{{2}}",
        valid=v.be_national,
        examples=("85.07.30-033.28", "85.07.30-033 28"),
        others=("85.07.30-033.29",),
    ),
    paper(
        "be-national-named",
        rf"\d{{2}}{_MONTH}{_DAY}[ -]?\d{{3}}[. -]?\d{{2}}",
        valid=v.be_national,
        near=words("rijksregisternummer", "registre national", "national number", "niss", "insz", "nrn", "belgian"),
        examples=("rijksregisternummer 85073003328",),
        others=("85073003328", "NISS 85073003329"),
    ),
    paper("be-vat", r"BE ?[01]\d{3}\.?\d{3}\.?\d{3}", kind="TAX_ID", examples=("BE0428759497",), others=("BE042875",)),
)
WEST: Final[tuple[Rule, ...]] = (*_GERMAN, *_FRENCH, *_LOW)
