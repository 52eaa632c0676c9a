"""The session of a command: the registry, the artifact store, and the person who works on them."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from patchbay.adapters.artifacts.store import ArtifactStore
    from patchbay.adapters.checks.base import BaseLayout
    from patchbay.adapters.config import PushDefaults, RegistryConfig
    from patchbay.adapters.lifecycle import Lifecycle
    from patchbay.adapters.publish import Publisher
    from patchbay.adapters.server_file import FileNames
    from patchbay.registry.registry import Registry

DEFAULT_FILE = Path("patchbay.yaml")
# A router gives a sign of life every two seconds.
ALIVE_S = 15.0
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The servers' configuration. Default: ./patchbay.yaml, if it exists."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Accept unknown names, which are added later, or known elsewhere.")
]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit.")]


@dataclass(frozen=True, slots=True)
class Session:
    """Gives a command the registry with everything around it.

    `config`: the registry's; `defaults`: of pushes; `actor`: the person's name in the audit; `names`: names in the
    servers' configuration, None where no file was found.
    """

    config: "RegistryConfig"
    defaults: "PushDefaults"
    registry: "Registry"
    actor: str
    names: "FileNames | None" = None

    @property
    def store(self) -> "ArtifactStore":
        """The artifact store. Raises ConfigError where it cannot be opened."""
        from patchbay.adapters.artifacts.store import ArtifactStore

        return ArtifactStore.open(self.config.artifacts)

    @property
    def publisher(self) -> "Publisher":
        """The publisher, which pushes."""
        from patchbay.adapters.publish import Publisher

        defaults = self.defaults
        return Publisher(self.registry, self.store, self.config, max_rank=defaults.max_rank, taken=defaults.taken)

    @property
    def lifecycle(self) -> "Lifecycle":
        """The lifecycle, which moves channels."""
        from patchbay.adapters.lifecycle import Lifecycle

        return Lifecycle(self.registry)

    def check_tenant(self, name: str | None) -> None:
        """Raises NotFound, with the nearest name, where there is no tenant of that name; None is any."""
        from patchbay.adapters.server_file import require
        from patchbay.core.tenancy import DEFAULT_TENANT

        if name is not None:
            known = {DEFAULT_TENANT, *(tenant.name for tenant in self.registry.accounts.tenants())}
            require("tenant", name, known, where="in the registry", hint="patchbay tenants list")

    def base(self, folder: Path | None) -> "BaseLayout | None":
        """Returns the layout of the base model in `folder`, or else in the configuration's, None where that is no
        folder."""
        from patchbay.adapters.publish import register_folder_base

        model = str(folder) if folder else self.defaults.model
        if model is None:
            return None
        name = self.defaults.name if folder is None else None
        return register_folder_base(self.registry, model, name=name, chat_template=self.defaults.chat_template)


@contextmanager
def opened(file: Path | None, *, anew: bool = False) -> Iterator[Session]:
    """Opens a session by `file`, or by ./patchbay.yaml where that exists, or by the defaults.

    `anew`: whether an empty registry may be created where one existed. Errors end the command with one line and their
    exit code.
    """
    from patchbay.registry.registry import Registry

    with (
        configured(file) as (config, defaults),
        Registry.open(config.url.get_secret_value(), anew=anew) as registry,
    ):
        yield Session(config, defaults, registry, actor(), _names(file))


@contextmanager
def configured(file: Path | None) -> Iterator[tuple["RegistryConfig", "PushDefaults"]]:
    """Yields the same configuration, without opening the registry. Errors end the command in the same way."""
    from patchbay.adapters.config import load_registry_config
    from patchbay.core.errors import PatchbayError
    from patchbay.core.exit_codes import fail

    try:
        found = _at_hand(file)
        if found is None:
            _check_project(Path.cwd())
        yield load_registry_config(found)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error


def _check_project(folder: Path) -> None:
    """Raises ConfigError where nothing says which registry a command in `folder` means: an empty one would be made."""
    from patchbay.core.errors import ConfigError
    from patchbay.core.paths import project_dir

    home = project_dir(folder)
    if os.environ.get("PATCHBAY_REGISTRY") or os.environ.get("PATCHBAY_DATA_DIR") or home.exists():
        return
    raise ConfigError(
        f"There is no {DEFAULT_FILE} in {folder}, and nothing has been served from here (no {home.name}).",
        hint="Go to its folder, name its file (--config FILE), or begin one: patchbay config init --base MODEL.",
    )


def home_of(file: Path | None) -> Path:
    """Returns the project directory of `file`, of ./patchbay.yaml, or of the working directory. Raises
    ConfigError."""
    from patchbay.adapters.config import data_home
    from patchbay.core.settings import load_yaml

    found = _at_hand(file)
    return data_home(load_yaml(found), found.absolute().parent) if found is not None else data_home({}, Path.cwd())


def tell(text: str) -> None:
    """Prints a remark on standard error."""
    typer.echo(text, err=True)


def _at_hand(file: Path | None) -> Path | None:
    return file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def _names(file: Path | None) -> "FileNames | None":
    from patchbay.adapters.server_file import FileNames

    found = _at_hand(file)
    return FileNames.read(found) if found is not None else None


def actor() -> str:
    """Returns the name of the person, or program, for the audit."""
    return os.environ.get("PATCHBAY_ACTOR") or f"{getpass.getuser()}@{socket.gethostname()}"
