"""Rules for numbers of people and firms of central and eastern Europe."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules import validators_papers as w
from patchbay.guards.rules.context import words
from patchbay.guards.rules.papers import paper
from patchbay.guards.rules.rule import Rule

_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
EAST: Final[tuple[Rule, ...]] = (
    paper(
        "pl-pesel",
        rf"\d{{2}}(?:[02468][1-9]|[13579][0-2]){_DAY}\d{{5}}",
        valid=v.pl_pesel,
        examples=("44051401359",),
        others=("44051401358", "44131401359"),
    ),
    paper(
        "pl-nip",
        r"\d{3}-\d{3}-\d{2}-\d{2}|\d{3}-\d{2}-\d{2}-\d{3}|\d{10}",
        kind="TAX_ID",
        valid=w.pl_nip,
        near=words("nip", "podatnik", "vat"),
        examples=("NIP 123-456-32-18",),
        others=("123-456-32-18", "NIP 123-456-32-19"),
    ),
    paper(
        "pl-identity",
        r"[A-Z]{3} ?\d{6}",
        valid=w.pl_card,
        near=words("dowod osobisty", "dowodu", "nr dowodu", "dowod", "identity card"),
        examples=("dow\u00f3d osobisty ABA300000",),
        others=("ABA300000", "dow\u00f3d ABA300001"),
    ),
    paper(
        "cz-rodne",
        rf"\d{{2}}(?:[05][1-9]|[16][0-2]|[27][1-9]|[38][0-2]){_DAY}/\d{{4}}",
        valid=v.cz_rodne,
        examples=("710319/2745",),
        others=("710319/2746",),
    ),
    paper(
        "cz-rodne-named",
        rf"\d{{2}}(?:[05][1-9]|[16][0-2]|[27][1-9]|[38][0-2]){_DAY}\d{{4}}",
        valid=v.cz_rodne,
        near=words("rodne cislo", "rc", "birth number"),
        examples=("rodn\u00e9 \u010d\u00edslo 7103192745",),
        others=("7103192745", "rodn\u00e9 \u010d\u00edslo 7103192746"),
    ),
    paper(
        "ro-cnp",
        rf"[1-9]\d{{2}}{_MONTH}{_DAY}\d{{6}}",
        valid=v.ro_cnp,
        near=words("cnp", "cod numeric personal", "numeric personal"),
        examples=("CNP 1630615123457",),
        others=("1630615123458", "1630615123457"),
    ),
    paper(
        "hr-oib",
        r"\d{11}",
        valid=v.iso7064_11_10,
        near=words("oib", "osobni identifikacijski"),
        examples=("OIB: 33392005961",),
        others=("OIB: 33392005962", "33392005961"),
    ),
    paper(
        "rs-jmbg",
        rf"{_DAY}{_MONTH}[09]\d{{8}}",
        valid=w.jmbg,
        near=words("jmbg", "emso", "maticni broj"),
        examples=("JMBG 0101006500006",),
        others=("0101006500006", "JMBG 0101006500007"),
    ),
    paper(
        "bg-egn",
        r"\d{10}",
        valid=w.bg_egn,
        near=words("egn", "\u0435\u0433\u043d", "\u0415\u0413\u041d"),
        examples=("EGN 7523169263",),
        others=("7523169263", "EGN 7523169264"),
    ),
    paper(
        "ee-isikukood",
        rf"[1-8]\d{{2}}{_MONTH}{_DAY}\d{{4}}",
        valid=w.baltic,
        near=words("isikukood", "asmens kodas", "personal code", "ik"),
        examples=("isikukood 37605030299",),
        others=("37605030299", "isikukood 37605030298"),
    ),
    paper(
        "lv-personas-kods",
        rf"{_DAY}{_MONTH}\d{{2}}-[0-2]\d{{4}}",
        examples=("161175-19997",),
        others=("161375-19997", "161175-39997"),
    ),
    paper(
        "hu-taj",
        r"\d{3}[ -]?\d{3}[ -]?\d{3}",
        near=words("taj", "taj szam"),
        examples=("TAJ 111 222 333",),
        others=("111 222 333", "TAJ 111"),
    ),
    paper(
        "ru-snils",
        r"\d{3}-\d{3}-\d{3}[ -]\d{2}",
        valid=w.ru_snils,
        examples=("112-233-445 95",),
        others=("112-233-445 96",),
    ),
    paper(
        "ru-inn",
        r"\d{12}|\d{10}",
        kind="TAX_ID",
        valid=w.ru_inn,
        near=words("inn", "\u0438\u043d\u043d"),
        examples=("\u0418\u041d\u041d 500100732259", "INN 7707083893"),
        others=("500100732259", "INN 7707083894"),
    ),
    paper(
        "ua-rnokpp",
        r"\d{10}",
        kind="TAX_ID",
        valid=w.ua_rnokpp,
        near=words("rnokpp", "\u0440\u043d\u043e\u043a\u043f\u043f", "\u0456\u043f\u043d", "ipn"),
        examples=("\u0406\u041f\u041d 1759013776",),
        others=("1759013776", "IPN 1759013777"),
    ),
)
