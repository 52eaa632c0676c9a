"""A client's run: its environment is made, and its checks are run in it, with a home and variables of their own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from loadtests.clients.known import Client
from loadtests.clients.results import Result, not_run, read

SCRIPTS = Path("scripts/clients")
MADE = Path("build/clients")
_INSTALL_S, _RUN_S = 1800, 420
_TAIL = 300
# What would tell others of a run, or fetch something for it.
_QUIET = {
    "AI_SDK_TELEMETRY_DISABLED": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_ENABLE_TELEMETRY": "0",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "NO_COLOR": "1",
    "OTEL_SDK_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo listens. `key`: what opens it, None where it is open; `tokenizer`: the base's folder."""

    url: str
    key: str | None
    tokenizer: Path


def run(client: Client, place: Place) -> Result:
    """The client's result. It is not run where its environment cannot be made."""
    if (reason := _install(client)) is not None:
        return not_run(client.name, reason)
    home = (MADE / client.name / "home").absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        done = subprocess.run(
            _command(client), env=_variables(client, place, home), cwd=home, capture_output=True, timeout=_RUN_S
        )
    except subprocess.TimeoutExpired as late:
        return read(client.name, _text(late.stdout), _text(late.stderr), None)
    (MADE / client.name / "log").write_bytes(done.stdout + done.stderr)
    return read(client.name, _text(done.stdout), _text(done.stderr), done.returncode)


def _install(client: Client) -> str | None:
    """Makes the client's environment where there is none; why it could not, where it could not."""
    try:
        done = subprocess.run(
            [SCRIPTS.absolute() / "install", client.name], capture_output=True, timeout=_INSTALL_S, text=True
        )
    except subprocess.TimeoutExpired:
        return f"its installation took longer than {_INSTALL_S} s"
    if done.returncode == 0:
        return None
    return f"it could not be installed: {' '.join(done.stderr.split())[-_TAIL:]}"


def _command(client: Client) -> list[str]:
    """The command of the client's checks: in its own Python, in Node beside its packages, or, of a program that is
    driven from outside, in ours."""
    folder, made = (SCRIPTS / client.name).absolute(), (MADE / client.name).absolute()
    if (folder / "check.mjs").exists():
        for file in (SCRIPTS / "checks.mjs", folder / "check.mjs"):
            shutil.copy(file, made)
        return [str(MADE.absolute() / "node/bin/node"), str(made / "check.mjs")]
    own = made / "bin/python"
    return [str(own) if own.exists() else sys.executable, str(folder / "check.py")]


def _variables(client: Client, place: Place, home: Path) -> dict[str, str]:
    """The variables of the client's process: none of the user's, whose keys and settings are for other servers."""
    made = MADE.absolute()
    programs = [made / client.name / "bin", made / client.name / "node_modules/.bin", made / "node/bin"]
    path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])
    ours = {"PATCHBAY_URL": place.url, "PATCHBAY_TOKENIZER": str(place.tokenizer)}
    ours |= {"PATCHBAY_KEY": place.key} if place.key is not None else {}
    usual = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "NO_PROXY": "*", "PYTHONPATH": str(SCRIPTS.absolute())}
    return _QUIET | usual | ours


def _text(output: bytes | str | None) -> str:
    return output if isinstance(output, str) else (output or b"").decode(errors="replace")
