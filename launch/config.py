"""The configuration model of patchbay.yaml, and its loading with overrides from the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from patchbay.adapters.config import (
    DeclaredAdapter,
    RegistryConfig,
    data_home,
    registry_section,
    with_sources,
)
from patchbay.core.errors import ConfigError
from patchbay.core.paths import data_dir
from patchbay.core.secret import Secret
from patchbay.core.setting_faults import Examined, glued_key, placed, refusal
from patchbay.core.settings import (
    ConfigPath,
    Settings,
    absolute_model,
    absolute_url,
    check_setting_name,
    examine_settings,
    load_yaml,
    parse_settings,
)
from patchbay.launch.backoff import RestartConfig
from patchbay.launch.pools import PoolConfig
from patchbay.router.canary.config import CanaryConfig, DeclaredCanary
from patchbay.router.canary.served import Served, served_of
from patchbay.router.settings.config import PolicyConfig, ReplicaConfig, RouterConfig, check_canaries
from patchbay.server.config import BaseConfig, EngineConfig, LoraConfig

DEFAULT_FILE = Path("patchbay.yaml")
# Keys of the router's configuration that stand elsewhere in the file.
SHARED_WITH_ROUTER = frozenset(
    {"replicas", "registry", "adapters", "canary", "canaries", "max_rank", *PolicyConfig.model_fields}
)
_STAND_INS = {"base": {"model": "unknown", "name": "unknown base"}}
_PLACEHOLDER_URL = "http://127.0.0.1:9001"
DEFAULT_POOL: Final[str] = ReplicaConfig.model_fields["pool"].default


class ReplicasConfig(Settings):
    """The replicas, which listen on loopback at `first_port` and the ports after it.

    `token`: what the router shows them, by default a new one each run. One that is not ready `start_timeout_s` seconds
    after its start counts as failed. When asked to end it finishes its requests for at most `drain_timeout_s`, and is
    killed after `stop_timeout_s`.
    """

    count: int = Field(default=1, ge=1, le=1024)
    first_port: int = Field(default=9001, ge=1, le=65535)
    token: Secret | None = None
    start_timeout_s: float = Field(default=600, gt=0)
    drain_timeout_s: float = Field(default=30, ge=0)
    stop_timeout_s: float = Field(default=45, gt=0)

    @model_validator(mode="after")
    def _ports_and_times(self) -> Self:
        if self.stop_timeout_s < self.drain_timeout_s:
            raise ValueError("stop_timeout_s must be at least drain_timeout_s")
        return self


class RouterSection(RouterConfig):
    """The router's keys, without `replicas`: those are the ones that the same file starts. What it shares with them,
    `registry`, `adapters`, `routes` and the like, stands at the top."""

    @model_validator(mode="before")
    @classmethod
    def _fronts_our_replicas(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if "replicas" in data:
            raise ValueError("the router's replicas are those that this file starts: set replicas.count at the top")
        if shared := sorted((SHARED_WITH_ROUTER - {"replicas"}) & data.keys()):
            raise ValueError(f"{shared[0]} stands at the top of the file, not under 'router' (max_rank: under 'lora')")
        return data | {"replicas": [_PLACEHOLDER_URL]}


class PatchbayConfig(PolicyConfig):
    """The whole file. `data_dir`: the folder for the registry, the artifacts and all else that is kept, by default
    `.patchbay` beside the file; `PATCHBAY_DATA_DIR` overrides it; `pools`: further base models by the names of their
    pools. Relative paths are relative to the file."""

    base: BaseConfig
    pools: dict[str, PoolConfig] = Field(default_factory=dict)
    adapters: dict[str, DeclaredAdapter] = Field(default_factory=dict)
    registry: RegistryConfig = Field(default_factory=RegistryConfig)
    canary: CanaryConfig = CanaryConfig()
    canaries: dict[str, DeclaredCanary] = Field(default_factory=dict)
    lora: LoraConfig = LoraConfig()
    engine: EngineConfig = EngineConfig()
    replicas: ReplicasConfig = ReplicasConfig()
    router: RouterSection = RouterSection()
    restart: RestartConfig = RestartConfig()
    data_dir: ConfigPath = Field(default_factory=data_dir)

    @field_validator("base", mode="before")
    @classmethod
    def _base_model_is_enough(cls, value: Any) -> Any:
        bare = isinstance(value, str) and glued_key(value, BaseConfig.model_fields) is None
        return {"model": value} if bare else value

    @field_validator("adapters", mode="before")
    @classmethod
    def _source_is_enough(cls, value: Any) -> Any:
        return with_sources(value)

    @field_validator("adapters")
    @classmethod
    def _adapter_names(cls, value: dict[str, DeclaredAdapter]) -> dict[str, DeclaredAdapter]:
        for name in value:
            check_setting_name(name)
        return value

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if self.base.served_name in self.adapters:
            name = self.base.served_name
            raise placed(("adapters", name), f"the base model is called '{name}', too: set base.name to another")
        return self

    @property
    def served(self) -> Served:
        """The routes, guards, votes and pools of this file's router, which canaries are judged by."""
        pools, reserved = (DEFAULT_POOL, *self.pools), self.canary.reserved_pools
        return served_of(self, votes=self.router.feedback_ids > 0, pools=pools, reserved=reserved)

    @property
    def replica_count(self) -> int:
        """The number of all replicas, those of pools included."""
        return self.replicas.count + sum(pool.replicas for pool in self.pools.values())

    @property
    def replica_ports(self) -> range:
        """The port of each replica: those of pools come last."""
        return range(self.replicas.first_port, self.replicas.first_port + self.replica_count)

    @property
    def base_names(self) -> tuple[str, ...]:
        """The names of the base models for clients, that which takes the adapters first."""
        return (self.base.served_name, *(pool.base.served_name for pool in self.pools.values()))

    @model_validator(mode="after")
    def _bases_are_told_apart(self) -> Self:
        if self.adapters and self.base.task != "generate":
            raise placed(("base", "task"), f"a base that is to {self.base.task} takes no adapters: leave them out")
        taken = {self.base.served_name, *self.adapters}
        for name, pool in self.pools.items():
            check_setting_name(name)
            if name == DEFAULT_POOL:
                raise placed(
                    ("pools", name), f"'{name}' is the pool of the replicas with adapters: choose another name"
                )
            if pool.base.served_name in taken:
                known = f"there is another model '{pool.base.served_name}'"
                raise placed(("pools", name, "base"), f"{known}: set base.name to another")
            taken.add(pool.base.served_name)
        return self

    @model_validator(mode="after")
    def _pools_are_here(self) -> Self:
        for name, route in self.routes.items():
            if route.pool not in (None, DEFAULT_POOL, *self.pools):
                known = (
                    f"the pools {', '.join((DEFAULT_POOL, *self.pools))}"
                    if self.pools
                    else f"only the pool '{DEFAULT_POOL}'"
                )
                raise placed(("routes", name, "pool"), f"'{route.pool}' is nowhere: this file has {known}")
        return self

    @model_validator(mode="after")
    def _canaries_see_something(self) -> Self:
        check_canaries(self.canaries, self.served)
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.replica_ports[-1] > 65535:
            raise placed(
                ("replicas", "first_port"), f"{self.replica_count} replicas need ports above 65535: choose a lower one"
            )
        for key in ("port", "admin_port"):
            if getattr(self.router, key) in self.replica_ports:
                raise placed(
                    ("router", key),
                    f"the replicas use port {getattr(self.router, key)}, too: set it or replicas.first_port to another",
                )
        return self


@dataclass(frozen=True, slots=True)
class Overrides:
    """The command line's settings, which override the file's.

    `adapters`: `NAME=SOURCE`, paths relative to the working directory.
    """

    base: str | None = None
    adapters: tuple[str, ...] = ()
    replicas: int | None = None
    port: int | None = None
    admin_port: int | None = None
    first_port: int | None = None


def find_file(chosen: Path | None, overrides: Overrides) -> Path | None:
    """Returns the file to read: the chosen one; none where the command line names a base; else ./patchbay.yaml.

    Raises ConfigError where there is neither.
    """
    if chosen is not None or overrides.base is not None:
        return chosen
    if DEFAULT_FILE.exists():
        return DEFAULT_FILE
    raise ConfigError(
        f"There is no {DEFAULT_FILE} here.",
        hint="Write one, name one with --config FILE, or name a base model with --base MODEL.",
    )


def load_config(file: Path | None, overrides: Overrides) -> PatchbayConfig:
    """Loads the configuration in `file` (None: an empty one), changed by `overrides`.

    `--base` replaces the file's whole base section, whose other keys would hardly fit; `--adapter` adds to the file's
    adapters. Raises ConfigError.
    """
    examined = examine_config(file, overrides)
    if examined.settings is None or examined.faults:
        raise refusal(source_of(file), examined.faults, file=file)
    return examined.settings


def examine_config(file: Path | None, overrides: Overrides) -> Examined[PatchbayConfig]:
    """Loads the configuration as `load_config` does, and returns what is in order with the faults of the rest. Where
    its base is not, another stands in for it. Raises ConfigError where `file` cannot be read at all."""
    if file is None:
        data = _overridden(with_project({}, Path.cwd()), overrides)
        return examine_settings(PatchbayConfig, data, folder=Path.cwd(), stand_ins=_STAND_INS)
    data = _overridden(with_project(load_yaml(file), file.absolute().parent), overrides)
    router = {} if data.get("router") is None else data["router"]
    if isinstance(router, dict):
        data = data | {"router": {"policy_file": str(file.absolute()), **router}}
    return examine_settings(PatchbayConfig, data, file=file, stand_ins=_STAND_INS)


def source_of(file: Path | None) -> str:
    """Returns the origin of a configuration, for messages."""
    return str(file or "the command line")


def config_of(data: dict[str, Any], overrides: Overrides) -> PatchbayConfig:
    """Returns the configuration of a project without a file, in the working directory: `data`, changed by `overrides`.

    Raises ConfigError.
    """
    here = Path.cwd()
    data = _overridden(with_project(data, here), overrides)
    return parse_settings(PatchbayConfig, data, source="the command line", folder=here)


def with_project(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns `data` of a file in `folder` with the places where its project keeps what it does not say otherwise.

    Values of the wrong type stay, for the models to refuse. Raises ConfigError.
    """
    home = data_home(data, folder)
    changed: dict[str, Any] = {"registry": registry_section(data, folder)}
    if isinstance(data.get("data_dir") or "", str):
        changed["data_dir"] = str(home)
    if isinstance(canary := data.get("canary") or {}, dict):
        changed["canary"] = {"incidents": str(home / "incidents"), **canary}
    return data | changed


def _overridden(data: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    here = Path.cwd()
    if overrides.base is not None:
        data = data | {"base": {"model": absolute_model(overrides.base, here)}}
    if overrides.adapters:
        added = dict(_named_path(text, here) for text in overrides.adapters)
        known = with_sources({} if data.get("adapters") is None else data["adapters"])
        data = data | {"adapters": known | added if isinstance(known, dict) else known}
    sections = (
        ("replicas", {"count": overrides.replicas, "first_port": overrides.first_port}),
        ("router", {"port": overrides.port, "admin_port": overrides.admin_port}),
    )
    for section, values in sections:
        if overridden := {key: value for key, value in values.items() if value is not None}:
            own = {} if data.get(section) is None else data[section]
            data = data | {section: own | overridden if isinstance(own, dict) else own}
    return data


def _named_path(text: str, folder: Path) -> tuple[str, dict[str, Any]]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise ConfigError(f"--adapter {text}: write it as NAME=SOURCE, such as --adapter sql=./my-lora.")
    return name, {"source": absolute_url(path, folder)}
