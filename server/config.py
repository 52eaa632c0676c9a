"""The configuration of one replica."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.config import ArtifactsConfig
from patchbay.core.paths import data_dir
from patchbay.core.secret import Secret
from patchbay.core.settings import ConfigPath, ModelPath, Settings, check_setting_name, is_loopback

RESERVED_ENGINE_ARGUMENTS = frozenset(
    {
        "model",
        "served_model_name",
        "enable_lora",
        "max_loras",
        "max_cpu_loras",
        "max_lora_rank",
        "worker_extension_cls",
        "scheduler_cls",
    }
)


class BaseConfig(Settings):
    """The base model. `model`: a hub's id or a folder; `name`: what clients call it (by default its last part);
    `task`: what it does. One that embeds or scores takes no adapters."""

    model: ModelPath
    name: str | None = None
    task: Literal["generate", "embed", "score"] = "generate"
    revision: str | None = None
    quantization: str | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_len: int | None = Field(default=None, ge=16)
    chat_template: ConfigPath | None = None
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None

    @property
    def served_name(self) -> str:
        """The name of the base model for clients."""
        return self.name or Path(self.model).name


class LoraConfig(Settings):
    """Room for adapters. `max_loras`: distinct revisions in one batch, or `auto`, as many as are declared and fit
    `slot_memory_share` of the memory; `max_cpu_loras`: revisions kept in host memory; `max_rank`: the largest rank;
    `parity`: what becomes of an adapter that carries parity rows and does not answer them as where it was trained."""

    max_loras: int | Literal["auto"] = "auto"
    max_cpu_loras: int | None = Field(default=None, ge=1)
    max_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 16
    slot_memory_share: float = Field(default=0.1, gt=0, le=0.9)
    wait_s: float = Field(default=30, gt=0)
    parity: Literal["off", "warn", "refuse"] = "refuse"

    @field_validator("max_loras")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be 'auto' or at least 1")
        return value

    @model_validator(mode="after")
    def _cpu_holds_slots(self) -> Self:
        if isinstance(self.max_loras, int) and self.max_cpu_loras is not None and self.max_cpu_loras < self.max_loras:
            raise ValueError("max_cpu_loras must be at least max_loras, since what is in a slot is in host memory, too")
        return self


class EngineConfig(Settings):
    """vLLM's engine. `kv_cache_gib`: on a CPU, the KV cache's size; `cpu_cores`: the cores of its threads (`0-3`);
    `stall_timeout_s`: how long it may get nothing done while work waits for it, before its replica is ended;
    `arguments`: any other of vLLM's engine arguments by its Python name, passed on as it is."""

    max_num_seqs: int = Field(default=64, ge=1)
    tensor_parallel_size: int = Field(default=1, ge=1)
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    kv_cache_gib: int = Field(default=1, ge=1)
    cpu_cores: str | None = Field(default=None, pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$")
    enforce_eager: bool = False
    stall_timeout_s: float = Field(default=300, ge=5)
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("arguments")
    @classmethod
    def _ours_are_reserved(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(RESERVED_ENGINE_ARGUMENTS & value.keys()):
            raise ValueError(f"{', '.join(taken)} is set by Patchbay's own keys under base: and lora:")
        return value


class ServerConfig(Settings):
    """One replica. `token`: what a caller shows as a bearer token; without one, only loopback is bound; `adapters`:
    whether it takes any; `artifacts`: where their files come from; `limits`: what one may take; `expected_adapters`:
    how many there will be, for `lora.max_loras: auto`. Asked to end, it finishes its requests for at most
    `drain_timeout_s` and has ended `end_timeout_s` after that, as it has `end_timeout_s` after its engine died: what
    hangs then is killed. It is ended, too, where its event loop stands still for `stall_timeout_s`."""

    name: str = "replica-0"
    host: str = "127.0.0.1"
    port: int = Field(default=9001, ge=0, le=65535)
    token: Secret | None = None
    base: BaseConfig
    adapters: bool = True
    lora: LoraConfig = LoraConfig()
    engine: EngineConfig = EngineConfig()
    artifacts: ArtifactsConfig = Field(default_factory=ArtifactsConfig)
    limits: FolderLimits = FolderLimits()
    expected_adapters: int = Field(default=0, ge=0)
    cache_dir: ConfigPath = Field(default_factory=lambda: data_dir() / "cache")
    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    drain_timeout_s: float = Field(default=30, ge=0)
    end_timeout_s: float = Field(default=10, gt=0)
    stall_timeout_s: float = Field(default=60, ge=5)

    @property
    def takes_adapters(self) -> bool:
        """Whether adapters can be loaded over the base."""
        return self.adapters and self.base.task == "generate"

    @property
    def thinks(self) -> bool:
        """Whether the engine tells what a model thinks from what it answers."""
        return self.base.reasoning_parser is not None or "reasoning_config" in self.engine.arguments

    @field_validator("name")
    @classmethod
    def _replica_name(cls, value: str) -> str:
        return check_setting_name(value)

    @model_validator(mode="after")
    def _token_beyond_loopback(self) -> Self:
        if self.token is None and not is_loopback(self.host):
            raise ValueError(f"host {self.host} is not loopback, so a token is needed: set 'token'")
        return self
