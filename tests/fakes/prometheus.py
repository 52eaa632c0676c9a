"""A real Prometheus server that scrapes routers several times a second, for as long as a block lasts."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

NO_PROMETHEUS = "Prometheus is not installed (Debian: apt-get install prometheus), so it is not tested here"


def has_prometheus() -> bool:
    """Whether there is a Prometheus to start."""
    return shutil.which("prometheus") is not None


@contextmanager
def running_prometheus(port: int, admin_urls: Sequence[str]) -> Iterator[str]:
    """A server on `port` that scrapes these routers; its address."""
    with tempfile.TemporaryDirectory(prefix="patchbay-prometheus-") as made:
        folder, url = Path(made), f"http://127.0.0.1:{port}"
        targets = [one.removeprefix("http://") for one in admin_urls]
        scrape = {"job_name": "patchbay", "static_configs": [{"targets": targets}]}
        config = {"global": {"scrape_interval": "250ms"}, "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                _wait(url)
                yield url
            finally:
                process.kill()


def _wait(url: str) -> None:
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        try:
            if httpx.get(f"{url}/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise TimeoutError(url)
