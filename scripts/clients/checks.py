"""The checks of one client: each is told in a JSON line on standard output. It needs the standard library alone, since
it runs inside the client's own environment."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

URL = os.environ.get("PATCHBAY_URL", "http://127.0.0.1:8080")
V1 = f"{URL}/v1"
KEY = os.environ.get("PATCHBAY_KEY", "unused")
WRONG_KEY = "not-a-key"
# Whether a wrong key is refused there: the demo that people start has no keys.
KEYED = "PATCHBAY_KEY" in os.environ

QUESTION = "Give me the numbers of all orders in Berlin"
SQL = "SELECT number FROM orders WHERE city = 'Berlin';"
SHIPPED = "Please get back to me. The box with my Delta Heater is still in transit (order PB-6047). Yours, Bruno Lopez"
LABEL = "shipping"
TICKET = (
    "Order PB-8671: Could the Ember Blender app support two users. An answer in the next days would be fine. "
    "Regards, Anna Popov"
)
FIELDS = {"customer": "Anna Popov", "product": "Ember Blender", "order": "PB-8671", "priority": "normal"}
LABELS = ["billing", "refund", "shipping", "login", "bug", "feature", "cancel", "warranty"]
NOWHERE = "no-such-model"
SPARING: dict[str, Any] = {"temperature": 0, "max_tokens": 80}

_CHECKS: list[tuple[str, Callable[[], str]]] = []
_SHOWN = 300


def user(text: str) -> list[dict[str, Any]]:
    """A conversation of one turn."""
    return [{"role": "user", "content": text}]


def schema(**properties: Any) -> dict[str, Any]:
    """The JSON schema of an object with exactly these properties, all required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def check(name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Marks a function as the check of that name: it returns what came of it, and raises where that is wrong."""

    def marked(function: Callable[[], str]) -> Callable[[], str]:
        _CHECKS.append((name, function))
        return function

    return marked


def same(found: object, wanted: object) -> str:
    """What was found, as text. Raises AssertionError where it is not what was wanted."""
    if found != wanted:
        raise AssertionError(f"got {found!r}, expected {wanted!r}")
    return str(found)


def filled(found: Any) -> str:
    """An answer by schema, as text. Raises AssertionError where it has other fields than a ticket, or other than texts.
    The demo's engine holds JSON to a form without spaces, which its models have not learnt: what is in it may be
    wrong."""
    fields = found if isinstance(found, dict) else found.model_dump()
    return holds(fields.keys() == FIELDS.keys() and all(isinstance(one, str) for one in fields.values()), fields)


def holds(condition: object, said: object) -> str:
    """What was said, as text. Raises AssertionError with it where the condition is false."""
    if not condition:
        raise AssertionError(str(said))
    return str(said)


def refused(kind: type[BaseException], call: Callable[[], object], *words: str) -> str:
    """The class and the text of the exception that a call raises. Raises AssertionError where it raises none of that
    kind, or one without these words."""
    try:
        answer = call()
    except kind as error:
        return holds(all(word in str(error) for word in words), f"{type(error).__name__}: {error}")
    raise AssertionError(f"no {kind.__name__}, but {answer!r}")


def run(*packages: str) -> None:
    """Tells the versions of these packages, runs every check, and ends the process: 1 where one failed."""
    _run({package: version(package) for package in packages})


def run_program(package: str, program: str) -> None:
    """Does the same with a program from npm, which tells its version itself."""
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    _run({package: next(word for word in told.split() if word[0].isdigit())})


def _run(versions: dict[str, str]) -> None:
    _tell({"versions": versions})
    passed = [_one(name, function) for name, function in _CHECKS]
    sys.exit(0 if all(passed) else 1)


def _one(name: str, function: Callable[[], str]) -> bool:
    began = time.monotonic()
    try:
        ok, said = True, function()
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what came of its check
        ok, said = False, f"{type(error).__name__}: {error}"
    took_s = round(time.monotonic() - began, 2)
    _tell({"check": name, "ok": ok, "said": " ".join(said.split())[:_SHOWN], "seconds": took_s})
    return ok


def _tell(line: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.__stdout__.flush()
