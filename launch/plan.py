"""The plan of a run, made from the configuration: the processes, their settings, ports and cores."""

import secrets
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from patchbay.core.settings import parse_settings
from patchbay.launch.child import ProcessSpec
from patchbay.launch.config import DEFAULT_POOL, PatchbayConfig
from patchbay.launch.cores import available_cores, partition_cores
from patchbay.launch.events import ReadyReport
from patchbay.launch.ports import PortUse
from patchbay.launch.rundir import write_settings
from patchbay.launch.served import report_of_served
from patchbay.launch.supervisor import RunPlan
from patchbay.router.settings.config import PolicyConfig, RouterConfig
from patchbay.server.config import BaseConfig, EngineConfig, ServerConfig

ROUTER: Final = "router"
_LOOPBACK: Final = "127.0.0.1"
# In characters. A socket's path has at most 107, of which its name takes up to 40.
_MAX_SOCKET_FOLDER: Final = 64
_END_AFTER_DRAIN_S: Final = 15.0
_ROUTER_AFTER_REPLICAS_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class PlannedReplica:
    """A replica of a run. `pool`: where routes find it; `adapters`: whether it takes any."""

    pool: str
    base: BaseConfig
    engine: EngineConfig
    adapters: bool


def planned_replicas(config: PatchbayConfig) -> list[PlannedReplica]:
    """Returns the replicas of a run, in the order of their ports."""
    own = [PlannedReplica(DEFAULT_POOL, config.base, config.engine, adapters=True)] * config.replicas.count
    return own + [
        PlannedReplica(name, pool.base, pool.engine, adapters=False)
        for name, pool in config.pools.items()
        for _ in range(pool.replicas)
    ]


def replica_names(config: PatchbayConfig) -> list[str]:
    """Returns the names of the replicas."""
    return [f"replica-{index}" for index in range(config.replica_count)]


def server_configs(config: PatchbayConfig, token: SecretStr) -> list[ServerConfig]:
    """Makes the configuration of each replica, whose callers must present `token`. Raises ConfigError."""
    planned = planned_replicas(config)
    cores = iter(partition_cores(available_cores(), sum(one.engine.cpu_cores is None for one in planned) or 1))
    shared = {
        "lora": config.lora,
        "artifacts": config.registry.artifacts,
        "token": token,
        "cache_dir": config.data_dir / "cache",
    }
    return [
        parse_settings(
            ServerConfig,
            shared
            | {
                "name": name,
                "host": _LOOPBACK,
                "port": port,
                "base": one.base,
                "adapters": one.adapters,
                "expected_adapters": len(config.adapters) if one.adapters else 0,
                "engine": one.engine.model_copy(update={"cpu_cores": one.engine.cpu_cores or next(cores)}),
                "max_body_bytes": config.router.max_body_bytes,
                "drain_timeout_s": config.replicas.drain_timeout_s,
            },
            source=name,
        )
        for one, name, port in zip(planned, replica_names(config), config.replica_ports, strict=True)
    ]


def router_config(config: PatchbayConfig, servers: list[ServerConfig]) -> RouterConfig:
    """Makes the configuration of a router in front of `servers`. Raises ConfigError."""
    replicas = [
        {"name": server.name, "url": f"http://{server.host}:{server.port}", "token": server.token, "pool": one.pool}
        for server, one in zip(servers, planned_replicas(config), strict=True)
    ]
    shared: dict[str, object] = {name: getattr(config, name) for name in ("registry", "adapters", "canary", "canaries")}
    shared |= {"max_rank": config.lora.max_rank} | {name: getattr(config, name) for name in PolicyConfig.model_fields}
    return parse_settings(RouterConfig, dict(config.router) | {"replicas": replicas} | shared, source="router")


def port_uses(config: PatchbayConfig) -> Iterator[PortUse]:
    """Lists every port that will be listened on, the public one first."""
    router = config.router
    yield PortUse(router.host, router.port, "router.port (or --port)")
    yield PortUse(router.admin_host, router.admin_port, "router.admin_port (or --admin-port)")
    for port in config.replica_ports:
        yield PortUse(_LOOPBACK, port, "replicas.first_port")


def make_plan(config: PatchbayConfig, folder: Path, *, verbose: bool = False) -> RunPlan:
    """Makes the plan of `config`, and writes each process's own configuration to `folder`. Raises ConfigError."""
    token = config.replicas.token or SecretStr(secrets.token_urlsafe(32))
    servers = server_configs(config, token)
    router = router_config(config, servers)
    return RunPlan(
        processes=(
            *(_replica_spec(config, server, folder, verbose=verbose) for server in servers),
            _router_spec(config, router, folder, verbose=verbose),
        ),
        report=ready_report(config),
        notes=tuple(_notes(config)),
        look=lambda report: report_of_served(report, config.registry, config.adapters),
    )


def ready_report(config: PatchbayConfig) -> ReadyReport:
    """Makes the report of the addresses and models that `config` would serve. What it does serve only a look shows."""
    router = config.router
    return ReadyReport(
        url=f"{_reachable(router.host, router.port)}/v1",
        admin_url=_reachable(router.admin_host, router.admin_port),
        base=config.base.served_name,
        task=config.base.task,
        pools={pool.base.served_name: pool.base.task for pool in config.pools.values()},
        adapters=tuple(config.adapters),
        replicas=config.replica_count,
        needs_key=bool(router.api_keys),
        own_token=router.own_token,
    )


def _replica_spec(config: PatchbayConfig, server: ServerConfig, folder: Path, *, verbose: bool) -> ProcessSpec:
    file = write_settings(server, folder / f"{server.name}.yaml")
    # The engine's processes put their sockets into the run's folder, so that those of a killed engine go with it.
    sockets = {"VLLM_RPC_BASE_PATH": str(folder)} if len(str(folder)) <= _MAX_SOCKET_FOLDER else {}
    return ProcessSpec(
        name=server.name,
        role="replica",
        argv=_argv("patchbay.server", file, verbose=verbose),
        ready_url=f"http://{server.host}:{server.port}/readyz",
        health_url=f"http://{server.host}:{server.port}/healthz",
        start_timeout_s=config.replicas.start_timeout_s,
        stop_timeout_s=config.replicas.stop_timeout_s,
        restart=config.restart,
        env=_environment() | sockets,
    )


def _router_spec(config: PatchbayConfig, router: RouterConfig, folder: Path, *, verbose: bool) -> ProcessSpec:
    """Makes the router's specification. It is ready once a replica is, so it gets the time of all their attempts."""
    file = write_settings(router, folder / "router.yaml")
    replicas_s = config.replicas.start_timeout_s * config.restart.start_attempts
    return ProcessSpec(
        name=ROUTER,
        role="router",
        argv=_argv("patchbay.launch.routing", file, verbose=verbose),
        ready_url=f"{_reachable(router.admin_host, router.admin_port)}/readyz",
        health_url=f"{_reachable(router.admin_host, router.admin_port)}/healthz",
        start_timeout_s=replicas_s + _ROUTER_AFTER_REPLICAS_S,
        stop_timeout_s=router.drain_timeout_s + _END_AFTER_DRAIN_S,
        restart=config.restart,
        env=_environment(),
    )


def _argv(module: str, file: Path, *, verbose: bool) -> tuple[str, ...]:
    """Makes a command line, with `-P`: a folder `patchbay` in the working directory must not hide the package."""
    return (sys.executable, "-P", "-m", module, "--config", str(file), *(["--verbose"] if verbose else []))


def _environment() -> dict[str, str]:
    """Makes the environment in which a child finds our packages even where they only lie in a source tree."""
    root = str(Path(__file__).parents[2])
    return {} if root in sysconfig.get_paths().values() else {"PYTHONPATH": root}


def _notes(config: PatchbayConfig) -> Iterator[str]:
    count, adapters = config.replica_count, len(config.adapters)
    yield (
        f"{' and '.join(config.base_names)} with {adapters} adapter{'s' * (adapters != 1)}, "
        f"on {count} replica{'s' * (count != 1)}"
    )
    cores = len(available_cores())
    if count > cores and config.engine.cpu_cores is None:
        yield f"{count} replicas share {cores} CPU core{'s' * (cores != 1)}: on a CPU, fewer replicas would be faster"


def _reachable(host: str, port: int) -> str:
    """Returns the URL by which this machine reaches a server that listens on `host`."""
    local = {"0.0.0.0": _LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"
