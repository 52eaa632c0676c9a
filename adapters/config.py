"""The configuration of the registry and the artifact store, which routers, replicas and commands share."""

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from adapters.admission.folder import Limits
from adapters.paths import data_dir
from adapters.settings import Settings


class ArtifactsConfig(Settings):
    """The artifact store. `url`: a folder, or any URL that fsspec knows (`s3://bucket/prefix`); `options`: what fsspec's
    file system takes (`endpoint_url`, `key`, `secret`); without them, the usual environment variables count."""

    url: str = Field(default_factory=lambda: str(data_dir() / "artifacts"))
    options: dict[str, Any] = Field(default_factory=dict, repr=False)


class SigningConfig(Settings):
    """Whose signatures count. `require_signed`: refuse an adapter without one; `public_keys`: PEM files of keys that
    may sign."""

    require_signed: bool = False
    public_keys: tuple[Path, ...] = ()


class RegistryConfig(Settings):
    """The registry. `url`: a database as SQLAlchemy writes it, `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DB`;
    `keep_warm_s`: how long the revision that a promotion replaced stays on the replicas, ready for a rollback;
    `limits`: what an adapter's folder may take."""

    url: SecretStr = Field(default_factory=lambda: SecretStr(f"sqlite:///{data_dir() / 'registry.db'}"))
    artifacts: ArtifactsConfig = Field(default_factory=ArtifactsConfig)
    signing: SigningConfig = SigningConfig()
    limits: Limits = Limits()
    keep_warm_s: float = Field(default=600, ge=0)
