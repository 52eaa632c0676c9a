"""The configuration of fetches: whom they may reach, and what they, and the reading of what came, may take."""

from typing import Final

from pydantic import Field, field_validator

from patchbay.adapters.sandbox.bounds import Bounds, LeastSpeed
from patchbay.core.settings import ConfigPath, Settings

_MIB = 1024**2
_GIB = 1024**3
# The hubs and registries that the docs name, with the hosts that their files are at.
PUBLIC_HOSTS: Final = (
    "huggingface.co",
    "*.huggingface.co",
    "*.hf.co",
    "ghcr.io",
    "*.githubusercontent.com",
    "registry-1.docker.io",
    "auth.docker.io",
    "*.docker.com",
    "quay.io",
    "*.quay.io",
    "*.amazonaws.com",
    "storage.googleapis.com",
    "oauth2.googleapis.com",
    "*.blob.core.windows.net",
    "*.dfs.core.windows.net",
    "login.microsoftonline.com",
)


class SourcesConfig(Settings):
    """The limits on fetches for clients of the admin port, and on fetching and reading any adapter.

    `allow`: hosts that may be asked, at public addresses (`*.example.org`: all below it; `*`: all); the default are the
    hubs, registries and stores that docs/adapters.md names. `private`: hosts, addresses and networks that may be asked
    at private, loopback and link-local addresses, too.

    `timeout_s`: how long a fetch, and an upload, may take in all; `least_bytes_per_s`: the speed that it must keep on
    the mean of every `slow_s` seconds; `at_a_time`: how many pushes a router works on at once; `waiting`: how many more
    may wait for that, before others are told to come again.

    `memory_mib`: what the process that fetches or reads an adapter may take of memory; `cpu_s` and `cpu_s_per_gib`: of
    processor time, in all and for each GiB of the adapter more. `staging`: the folder for what is on its way, by
    default `staging` in the project directory.
    """

    allow: tuple[str, ...] = PUBLIC_HOSTS
    private: tuple[str, ...] = ()
    timeout_s: float = Field(default=1800, gt=0)
    least_bytes_per_s: float = Field(default=16 * 1024, ge=0)
    slow_s: float = Field(default=30, gt=0)
    at_a_time: int = Field(default=4, ge=1)
    waiting: int = Field(default=16, ge=0)
    memory_mib: int = Field(default=1024, ge=128)
    cpu_s: int = Field(default=10, ge=1)
    cpu_s_per_gib: int = Field(default=60, ge=0)
    staging: ConfigPath | None = None

    @field_validator("allow", "private")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not entry or "://" in entry or any(character in entry for character in " @?#"):
                raise ValueError(f"'{entry}' is no host: write a name without a scheme and a port, such as ghcr.io")
        return value

    @property
    def least(self) -> LeastSpeed:
        """The least speed of a transfer."""
        return LeastSpeed(self.least_bytes_per_s, self.slow_s)

    def bounds(self, work_bytes: int, file_bytes: int) -> Bounds:
        """Computes the bounds of a process that works on `work_bytes` and writes files of up to `file_bytes`."""
        cpu_s = self.cpu_s + int(self.cpu_s_per_gib * work_bytes / _GIB)
        return Bounds(cpu_s, self.memory_mib * _MIB, file_bytes, self.timeout_s)
