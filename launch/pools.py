"""Pools: further base models, each with replicas of its own, beside the base that takes the adapters."""

from typing import Any

from pydantic import Field, field_validator

from patchbay.core.settings import Settings
from patchbay.server.config import BaseConfig, EngineConfig


class PoolConfig(Settings):
    """A further base model, served as it is: it embeds, scores or generates, and takes no adapters. `replicas`: their
    number, on the ports after those of the other replicas. Clients call it by its name; routes may name the pool."""

    base: BaseConfig
    replicas: int = Field(default=1, ge=1, le=1024)
    engine: EngineConfig = EngineConfig()

    @field_validator("base", mode="before")
    @classmethod
    def _base_model_is_enough(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value
