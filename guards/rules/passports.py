"""Rules for passports: their machine readable lines, and their numbers near a word that names them."""

from typing import Final

from patchbay.guards.rules import validators as v
from patchbay.guards.rules.context import CANDIDATE, words
from patchbay.guards.rules.rule import Rule

_PASSPORT: Final = words(
    *(
        "passport",
        "passport number",
        "passport no",
        "passport card",
        "travel document",
        "travel",
        "reisepass",
        "pass nr",
    ),
    *("passnummer", "reisepassnummer", "passeport", "pasaporte", "passaporto", "passaporte", "paspoort", "paszport"),
    *("pasaport", "passi", "pass", "elettronico", "indian passport", "viaggio", "viaggiare", "documento di viaggio"),
    *(
        "\uc5ec\uad8c",
        "\uc5ec\uad8c\ubc88\ud638",
        "\u30d1\u30b9\u30dd\u30fc\u30c8",
        "\u62a4\u7167",
        "\u043f\u0430\u0441\u043f\u043e\u0440\u0442",
    ),
)
PASSPORTS: Final[tuple[Rule, ...]] = (
    Rule(
        name="passport",
        kind="PASSPORT",
        pattern=r"\b(?:[A-Z]{1,3} ?\d{5,8}[A-Z]?|\d{7,9}|[A-Z][0-9A-Z]?\d[0-9A-Z]{5,6}|\d{2}[A-Z]{2}\d{5}|[A-Z]\d{2} ?\d{5})\b",
        caseless=True,
        valid=v.numbered,
        near=_PASSPORT,
        scanned=CANDIDATE,
        confidence=0.7,
        examples=("passport no. 533380006", "Passport: C01X00T47", "Reisepassnummer: C01X00T47", "passport A12345678"),
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
