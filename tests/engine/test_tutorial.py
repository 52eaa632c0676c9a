"""The tutorial, run as a reader runs it: every block of every page in its order, then the notebook."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.engine.conftest import START_TIMEOUT_S, free_ports

pytestmark = pytest.mark.engine
TUTORIAL = Path(__file__).parent.parent.parent / "docs" / "tutorial"
PAGES = sorted(TUTORIAL.glob("[1-9]-*.md"))
_BLOCK = re.compile(
    r"^```(?P<kind>sh|python|yaml)(?: (?P<option>[^\n]+))?\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)


@dataclass
class Reader:
    """A reader at the terminals. `home`: the reader's; `folder`: where the first terminal is; `ports`: instead of those
    of the pages."""

    home: Path
    folder: Path
    ports: dict[str, int]
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """A user of its own, who has the commands on the path and nothing else of Patchbay's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PATCHBAY_")}
        path = f"{Path(sys.executable).parent}:{kept['PATH']}"
        return kept | {
            "HOME": str(self.folder.parent),
            "XDG_DATA_HOME": str(self.folder.parent / "share"),
            "PATH": path,
        }

    def do(self, kind: str, option: str | None, text: str) -> None:
        """Does what a block of the pages says. `option`: the rest of the line that opens the block."""
        for port, own in self.ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{own}")
        if kind == "yaml":
            self._write(option or "patchbay.yaml", text)
        elif kind == "python":
            self._run([sys.executable, "-c", text])
        elif option == "server":
            self._serve(text)
        else:
            # The next block goes on where this one ends.
            where = self.home / "where"
            script = f"set -euo pipefail\n{text}\npwd > {where}" if option is None else f"set -uo pipefail\n{text}"
            self._run(["/bin/bash", "-c", script], status=int(option.removeprefix("status=")) if option else 0)
            if option is None:
                self.folder = Path(where.read_text().strip())

    def _write(self, name: str, text: str) -> None:
        if name == "patchbay.yaml":
            ports = {"port": self.ports["8080"], "admin_port": self.ports["8081"]}
            text += f"router: {json.dumps(ports)}\nreplicas: {{first_port: {self.ports['9001']}}}\n"
        (self.folder / name).write_text(text)

    def _run(self, command: list[str], *, status: int = 0, folder: Path | None = None) -> None:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == status, f"{command[-1]}\n{done.stdout}\n{done.stderr}"

    def _serve(self, text: str) -> None:
        folder = TUTORIAL if "callers.py" in text else self.folder
        with (self.folder / f"server-{len(self.servers)}.log").open("wb") as log:
            server = subprocess.Popen(
                ["/bin/bash", "-c", f"exec {text.strip()}"],
                cwd=folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.servers.append(server)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready():
            assert server.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.2)

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.ports['8080']}/healthz").status_code == 200
        return False

    def read_notebook(self, file: Path) -> None:
        """Runs the notebook's cells in one process, as its kernel does, where the notebook lies."""
        cells = json.loads(file.read_text())["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        code = code.replace("127.0.0.1:8080", f"127.0.0.1:{self.ports['8080']}")
        self._run([sys.executable, "-c", code], folder=file.parent)

    def leave(self) -> None:
        """Presses Ctrl-C in every terminal, the newest first."""
        for server in reversed(self.servers):
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(60)
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "work"
    folder.mkdir()
    reading = Reader(tmp_path, folder, dict(zip(("8080", "8081", "9001"), free_ports(3), strict=True)))
    try:
        yield reading
    finally:
        reading.leave()


@pytest.mark.timeout(900)
def test_every_command_of_the_tutorial_and_of_its_notebook_does_what_it_says(reader: Reader) -> None:
    assert [page.name for page in PAGES] == ["1-serve.md", "2-adapt.md", "3-guard.md", "4-canary.md", "5-release.md"]
    for page in PAGES:
        for block in _BLOCK.finditer(page.read_text()):
            reader.do(block["kind"], block["option"], block["text"])
    reader.read_notebook(TUTORIAL / "client.ipynb")
