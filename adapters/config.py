"""The configuration of the registry and the artifact store, which routers, replicas and commands share."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.core.errors import ConfigError
from patchbay.core.paths import VARIABLE, data_dir, project_dir
from patchbay.core.secret import Secret
from patchbay.core.setting_faults import glued_key
from patchbay.core.settings import ConfigPath, PathOrUrl, Settings, absolute_url, load_yaml, parse_settings

# The largest that vLLM 0.32 takes.
MAX_RANK = 512
# Sections that only a file of `patchbay up` has: that has a registry, also where the file says nothing of it.
_OF_UP = frozenset({"base", "data_dir", "engine", "lora", "restart", "router"})


class ArtifactsConfig(Settings):
    """The configuration of the artifact store.

    `url`: a folder, or any URL that fsspec knows (`s3://bucket/prefix`); `options`: what its file system takes
    (`endpoint_url`, `key`, `secret`); without them, the usual environment variables count.
    """

    url: PathOrUrl = Field(default_factory=lambda: str(data_dir() / "artifacts"))
    options: dict[str, Any] = Field(default_factory=dict, repr=False)


class SigningConfig(Settings):
    """The configuration of signatures.

    `require_signed`: refuse an adapter without one; `public_keys`: PEM files of keys that may sign.
    """

    require_signed: bool = False
    public_keys: tuple[ConfigPath, ...] = ()


class DataConfig(Settings):
    """The configuration of what revisions say of their data.

    `require_known`: refuse a revision whose `data_hash` names no data set of the registry.
    """

    require_known: bool = False


class RegistryConfig(Settings):
    """The configuration of the registry and of what goes into it.

    `url`: a database as SQLAlchemy writes it, `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DB`; `keep_warm_s`:
    how long the revision that a promotion replaced stays on the replicas, ready for a rollback; `data`: what
    revisions must say of their data; `limits`: what an
    adapter's folder may take; `sources`: whom fetches may reach, and what they may take.
    """

    url: Secret = Field(default_factory=lambda: SecretStr(f"sqlite:///{data_dir() / 'registry.db'}"))
    artifacts: ArtifactsConfig = Field(default_factory=ArtifactsConfig)
    signing: SigningConfig = SigningConfig()
    data: DataConfig = DataConfig()
    limits: FolderLimits = FolderLimits()
    sources: SourcesConfig = SourcesConfig()
    keep_warm_s: float = Field(default=600, ge=0)


class DeclaredAdapter(Settings):
    """The declaration of an adapter that must serve.

    `source`: a folder, an archive, or a URL (`hf://`, `oci://`, `s3://`); `preload`: whether it is loaded before its
    first request; `pin`: whether it is evicted last.
    """

    source: PathOrUrl
    preload: bool = True
    pin: bool = False


def with_sources(adapters: Any) -> Any:
    """Returns `adapters` with every bare source (`sql: ./sql`) written out (`sql: {source: ./sql}`)."""
    if not isinstance(adapters, dict):
        return adapters
    plain = {
        name
        for name, entry in adapters.items()
        if isinstance(entry, Path)
        or (isinstance(entry, str) and glued_key(entry, DeclaredAdapter.model_fields) is None)
    }
    return {name: {"source": str(entry)} if name in plain else entry for name, entry in adapters.items()}


class PushDefaults(Settings):
    """The part of a configuration file that matters to a push.

    `model`: the base model's folder or hub id; `name`: what clients call it, where that is said; `max_rank`: the
    largest rank that replicas take; `taken`: names that clients have for the bases of other pools.
    """

    model: str | None = None
    name: str | None = None
    chat_template: Path | None = None
    max_rank: int = MAX_RANK
    taken: tuple[str, ...] = ()


def registry_section(data: Mapping[str, Any], folder: Path) -> Any:
    """Returns the `registry:` section of a file's `data`, its paths relative to `folder` made absolute.

    `PATCHBAY_REGISTRY` and `PATCHBAY_ARTIFACTS` override what it says. What is of the wrong type stays, the section
    itself too, for the models to refuse.
    """
    section = data.get("registry") or {}
    if not isinstance(section, dict):
        return section
    section = dict(section)
    if url := os.environ.get("PATCHBAY_REGISTRY"):
        section["url"] = url
    artifacts = section.get("artifacts")
    if isinstance(artifacts, str):
        section["artifacts"] = artifacts = {"url": artifacts}
    if isinstance(artifacts, dict) and isinstance(artifacts.get("url"), str):
        section["artifacts"] = artifacts | {"url": absolute_url(artifacts["url"], folder)}
    if url := os.environ.get("PATCHBAY_ARTIFACTS"):
        section["artifacts"] = (section.get("artifacts") or {}) | {"url": absolute_url(url, Path.cwd())}
    if isinstance(section.get("url"), str):
        section["url"] = _absolute_database(section["url"], folder)
    return _with_defaults(section, data_home(data, folder))


def data_home(data: Mapping[str, Any], folder: Path) -> Path:
    """Returns the project directory of the file in `folder` that has this `data`: `PATCHBAY_DATA_DIR`, else the file's
    `data_dir`, else `.patchbay` beside the file."""
    home, own = project_dir(folder), data.get("data_dir")
    if isinstance(own, str) and VARIABLE not in os.environ:
        return folder.absolute() / Path(own).expanduser()
    return home


def _with_defaults(section: dict[str, Any], home: Path) -> dict[str, Any]:
    """Returns the section `registry` with what it does not say, in the project directory `home`. What is of the wrong
    type stays."""
    defaults: dict[str, Any] = {"url": f"sqlite:///{home / 'registry.db'}"}
    for key, inner, value in (("artifacts", "url", home / "artifacts"), ("sources", "staging", home / "staging")):
        own = section.get(key)
        if own is None or (isinstance(own, dict) and own.get(inner) is None):
            section = section | {key: (own or {}) | {inner: str(value)}}
    return {**defaults, **{key: value for key, value in section.items() if key != "url" or value is not None}}


def has_registry(data: Mapping[str, Any]) -> bool:
    """Whether the servers of a file with this `data` read a registry. `patchbay up` always does; `patchbay router` only
    where the file has `registry`. What could be either's file is taken for the router's."""
    return not data or "registry" in data or is_of_up(data)


def is_of_up(data: Mapping[str, Any]) -> bool:
    """Whether a file with this `data` has what only a file of `patchbay up` has."""
    return bool(_OF_UP.intersection(data)) or isinstance(data.get("replicas"), dict)


def load_registry_config(file: Path | None) -> tuple[RegistryConfig, PushDefaults]:
    """Reads the registry's configuration and the defaults of a push from `file`, a patchbay.yaml.

    Returns the defaults where `file` is None. Only these parts of the file are looked at: it is the servers' file, and
    they check the rest. Raises ConfigError, also where the router of that file would read no registry.
    """
    data = load_yaml(file) if file is not None else {}
    if not has_registry(data):
        raise ConfigError(
            f"{file} has no 'registry', so a router that is started with it reads none: no tenant, no key, no adapter.",
            hint="Add the line 'registry: {}' to it and start the router again.",
        )
    folder = file.absolute().parent if file is not None else Path.cwd()
    source = str(file or "the environment")
    section = registry_section(data, folder)
    config = parse_settings(RegistryConfig, section, source=f"{source}: registry", folder=folder)
    return config, parse_settings(PushDefaults, _push_defaults(data, folder), source=source)


def _push_defaults(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    base, lora = _base_section(data), data.get("lora")
    found = {key: base[key] for key in ("model", "name", "chat_template") if base.get(key) is not None}
    for key, value in tuple(found.items()):
        path = folder / Path(str(value)).expanduser()
        if key == "chat_template" or (key == "model" and path.is_dir()):
            found[key] = str(path)
    if isinstance(lora, dict) and "max_rank" in lora:
        found["max_rank"] = lora["max_rank"]
    return found | {"taken": list(_pool_names(data.get("pools")))}


def _pool_names(pools: object) -> Iterator[str]:
    """Yields what clients call the bases of `pools`. What is of the wrong type is for the servers to refuse."""
    for pool in pools.values() if isinstance(pools, dict) else ():
        base = _base_section(pool)
        name = base.get("name") or Path(str(base.get("model") or "")).name
        if isinstance(name, str) and name:
            yield name


def _base_section(section: object) -> Mapping[str, Any]:
    """Returns the base of a file, or of a pool, as a mapping: it may be written as its model alone."""
    base = section.get("base") if isinstance(section, Mapping) else None
    return {"model": base} if isinstance(base, str) else base if isinstance(base, dict) else {}


def _absolute_database(url: str, folder: Path) -> str:
    """Makes a relative file in an SQLite URL relative to the configuration, not to the command's working directory."""
    scheme, separator, rest = url.partition(":///")
    if not (scheme.startswith("sqlite") and separator and rest) or rest.startswith(("/", ":")):
        return url
    return f"{scheme}:///{folder / Path(rest).expanduser()}"
