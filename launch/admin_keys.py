"""The keys of a router's ports, as a servers' file says them: a patchbay.yaml under `router`, a router's at its top."""

from pathlib import Path

from pydantic import Field

from patchbay.core.secret import Secret
from patchbay.core.settings import Settings, load_yaml, parse_settings
from patchbay.launch.config import DEFAULT_FILE
from patchbay.router.settings.config import AdminToken


class AdminKeys(Settings):
    """The keys of the admin port, and `source`, where they are written. `port`: the public one."""

    source: str = "the configuration"
    port: int = Field(default=8080, ge=0, le=65535)
    admin_port: int = Field(default=8081, ge=0, le=65535)
    admin_token: Secret | None = None
    admin_tokens: tuple[AdminToken, ...] = ()
    admin_open: bool = False

    @property
    def url(self) -> str:
        """The address of the public port, on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """The address of the admin port, on this machine."""
        return f"http://127.0.0.1:{self.admin_port}"


def read_admin_keys(file: Path | None) -> AdminKeys:
    """The keys in `file`, else in ./patchbay.yaml, else those that nobody has set. Only they are looked at. Raises
    ConfigError."""
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if chosen is None:
        return AdminKeys()
    data = load_yaml(chosen)
    section = data.get("router") if isinstance(data.get("router"), dict) else data
    known = {key: value for key, value in (section or {}).items() if key in AdminKeys.model_fields}
    return parse_settings(AdminKeys, known | {"source": str(chosen)}, source=str(chosen))


def public_url(url: str | None, file: Path | None = None) -> str:
    """Returns the address of a router's public port: `url` where it was given, without a `/v1`, else that of `file`, or
    of ./patchbay.yaml, on this machine. Raises ConfigError."""
    return read_admin_keys(file).url if url is None else url.rstrip("/").removesuffix("/v1")
