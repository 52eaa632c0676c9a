"""The manifest in an adapter's folder, `patchbay-adapter.yaml`: its makers' statements about it.

It is one of the adapter's files, so that nobody can change it without changing the digest.
"""

from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.folder import DEFAULT_LIMITS, FolderLimits, read_bounded
from patchbay.adapters.contents import MANIFEST_FILE
from patchbay.core.errors import AdapterError, ConfigError
from patchbay.core.settings import Settings, load_yaml, parse_settings
from patchbay.registry.records import GoldenPrompt, Provenance

_MAX_GOLDEN = 32


class GoldenMessage(Settings):
    """One message of a conversation, as OpenAI's chat has it."""

    role: str
    content: str


class Golden(Settings):
    """A prompt that the adapter must answer before it serves.

    `expect`: the whole answer; `contains`: a part of it; `differs_from_base`: whether the base model must answer
    something else.
    """

    prompt: str | None = None
    messages: tuple[GoldenMessage, ...] = ()
    max_tokens: int = Field(default=32, ge=1, le=512)
    expect: str | None = None
    contains: str | None = None
    differs_from_base: bool = False

    @model_validator(mode="after")
    def _one_conversation(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("give either a prompt or messages")
        return self

    def record(self) -> GoldenPrompt:
        """Returns the prompt as the registry keeps it."""
        messages = self.messages or (GoldenMessage(role="user", content=self.prompt or ""),)
        return GoldenPrompt(
            messages=tuple({"role": message.role, "content": message.content} for message in messages),
            max_tokens=self.max_tokens,
            expect=self.expect,
            contains=self.contains,
            differs_from_base=self.differs_from_base,
        )


class AdapterManifest(Settings):
    """The content of an adapter's manifest. `base`: the fingerprint of the base model that it was trained for."""

    base: str | None = Field(default=None, pattern=r"^[0-9a-f]{12,64}$")
    owner: str | None = None
    licence: str | None = None
    data_hash: str | None = None
    commit: str | None = None
    evaluations: dict[str, float] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expires: AwareDatetime | None = None
    notes: str | None = None
    golden: tuple[Golden, ...] = Field(default=(), max_length=_MAX_GOLDEN)

    def provenance(self) -> Provenance:
        """Returns the adapter's provenance, as its makers state it."""
        expires: datetime | None = self.expires
        return Provenance(
            owner=self.owner,
            licence=self.licence,
            data_hash=self.data_hash,
            commit=self.commit,
            evaluations=self.evaluations,
            tags=self.tags,
            expires=expires,
            notes=self.notes,
        )

    def golden_prompts(self) -> tuple[GoldenPrompt, ...]:
        """Returns the golden prompts as the registry keeps them."""
        return tuple(prompt.record() for prompt in self.golden)


def read_manifest(
    folder: Path, *, base: BaseLayout | None = None, limits: FolderLimits = DEFAULT_LIMITS
) -> AdapterManifest | None:
    """Reads the manifest in `folder`, or returns None where there is none.

    Raises AdapterError where it is invalid, or where it names another base model than `base`.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    with because("manifest"):
        read_bounded(path, limits.config_bytes)
        try:
            manifest = parse_settings(AdapterManifest, load_yaml(path), source=str(path), file=path)
        except ConfigError as error:
            raise AdapterError(error.message, hint="docs/adapters.md shows what may be in it.") from error
        if base is not None and manifest.base is not None and not base.fingerprint.startswith(manifest.base):
            raise AdapterError(
                f"{path}: base is {manifest.base[:12]}, expected {base.fingerprint[:12]}, the base model's.",
                hint="The adapter was trained for another base model.",
                reason="base",
            )
    return manifest
