"""Presidio beside our guards: its run in an environment of its own, and the kinds of ours that its entities are."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.guards_measure.arithmetic import FoundIn
from loadtests.guards_measure.sets import SetText

_SCRIPTS: Final = Path("scripts/guards-peers")
_PYTHON: Final = Path("build/peers/presidio/bin/python")
_INSTALL_S, _RUN_S = 900, 1800
# Presidio's entities by the kinds of ours that they may stand for. What is not here has no kind of ours.
ENTITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "EMAIL_ADDRESS": ("EMAIL",),
    "PHONE_NUMBER": ("PHONE",),
    **dict.fromkeys(("ZA_MOBILE_NUMBER", "ZA_TELEPHONE_NUMBER"), ("PHONE",)),
    "CREDIT_CARD": ("CARD",),
    "IBAN_CODE": ("IBAN",),
    "US_BANK_NUMBER": ("BANK_ACCOUNT",),
    "ABA_ROUTING_NUMBER": ("BANK_ACCOUNT",),
    "IP_ADDRESS": ("IP",),
    "MAC_ADDRESS": ("MAC",),
    "CRYPTO": ("CRYPTO",),
    "URL": ("URL",),
    "DATE_TIME": ("DATE", "BIRTH_DATE"),
    "US_SSN": ("SSN",),
    **dict.fromkeys(
        ("US_PASSPORT", "UK_PASSPORT", "DE_PASSPORT", "ES_PASSPORT", "IT_PASSPORT", "IN_PASSPORT", "PH_PASSPORT"),
        ("PASSPORT",),
    ),
    "ZA_PASSPORT": ("PASSPORT",),
    **dict.fromkeys(
        ("US_ITIN", "UK_NHS", "UK_NINO", "CA_SIN", "AU_TFN", "AU_MEDICARE", "SG_NRIC_FIN", "IN_PAN", "IN_AADHAAR"),
        ("NATIONAL_ID",),
    ),
    **dict.fromkeys(
        ("DE_TAX_ID", "DE_TAX_NUMBER", "DE_ID_CARD", "DE_SOCIAL_SECURITY", "DE_HEALTH_INSURANCE", "ES_NIF", "ES_NIE"),
        ("NATIONAL_ID",),
    ),
    **dict.fromkeys(
        ("IT_FISCAL_CODE", "IT_IDENTITY_CARD", "ZA_ID_NUMBER", "NG_NIN", "PH_TIN", "PH_UMID", "IN_VOTER", "US_MBI"),
        ("NATIONAL_ID",),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRun:
    """The run of Presidio. `found`: by text, in their order; `seconds`: the median of the rounds, for all texts one
    after the other; `long_seconds`: the same for each long text; `left_out`: its entities that stand for no kind of
    ours, with how often each was found."""

    version: str
    recognizers: int
    found: Sequence[Sequence[FoundIn]]
    seconds: float
    long_seconds: Sequence[float]
    left_out: Mapping[str, int]


def install() -> str | None:
    """Makes Presidio's environment where there is none. Returns why it could not, None where it is there."""
    try:
        done = subprocess.run(
            [str(_SCRIPTS / "install")], check=False, capture_output=True, timeout=_INSTALL_S, text=True
        )
    except subprocess.TimeoutExpired:
        return f"its installation took longer than {_INSTALL_S} s"
    return None if done.returncode == 0 else f"it could not be installed: {' '.join(done.stderr.split())[-300:]}"


def run(texts: Sequence[SetText], long: Sequence[str], rounds: int) -> PeerRun:
    """Has Presidio look at texts, and at long ones. Raises CalledProcessError where it fails."""
    asked = {"texts": [[text.text, text.language] for text in texts], "long": list(long), "rounds": rounds}
    command = [str(_PYTHON), str(_SCRIPTS / "analyze.py")]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, check=True, timeout=_RUN_S, text=True)
    return read_run(json.loads(done.stdout))


def read_run(answer: Mapping[str, Any]) -> PeerRun:
    """Reads what Presidio's program has printed."""
    left_out: dict[str, int] = {}
    found = []
    for spans in answer["found"]:
        ours = []
        for start, end, entity, score in spans:
            if entity in ENTITIES:
                ours.append(FoundIn(start=start, end=end, kinds=frozenset(ENTITIES[entity]), score=score))
            else:
                left_out[entity] = left_out.get(entity, 0) + 1
        found.append(ours)
    return PeerRun(
        version=answer["version"],
        recognizers=answer["recognizers"],
        found=found,
        seconds=median(answer["seconds"]),
        long_seconds=[median(seconds) for seconds in answer["long_seconds"]],
        left_out=left_out,
    )
