"""The run of a client: its environment is made, and its checks run in it, with a home and variables of their own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from loadtests.clients.known import Client
from loadtests.clients.results import Result, read

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
    """Address of the demo. `key`: what opens it, None where it is open; `tokenizer`: the base's folder."""

    url: str
    key: str | None
    tokenizer: Path


def install(client: Client) -> str | None:
    """Makes the client's environment where there is none. Returns why it could not, None where it is there."""
    command = [str(SCRIPTS.absolute() / "install"), client.name]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_INSTALL_S, text=True)
    except subprocess.TimeoutExpired:
        return f"its installation took longer than {_INSTALL_S} s"
    return None if done.returncode == 0 else f"it could not be installed: {_end_of(done.stderr)}"


def run(client: Client, place: Place) -> Result:
    """Runs the client's checks in its environment, and returns its result. What it printed is kept beside that."""
    home = (MADE / client.name / "home").absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    command, env = _command(client), _variables(client, place, home)
    try:
        done = subprocess.run(command, check=False, env=env, cwd=home, capture_output=True, timeout=_RUN_S)
    except subprocess.TimeoutExpired as late:
        return read(client.name, _text(late.stdout), _text(late.stderr), None)
    (MADE / client.name / "log").write_bytes(done.stdout + done.stderr)
    return read(client.name, _text(done.stdout), _text(done.stderr), done.returncode)


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


def _end_of(output: str) -> str:
    return " ".join(output.split())[-_TAIL:]


def _text(output: bytes | str | None) -> str:
    return output if isinstance(output, str) else (output or b"").decode(errors="replace")
