"""Signatures on adapters, by the OpenSSF's model signing: `model.sig` beside the files, made with a private key.

The signature covers every file of the adapter but itself. Source: https://github.com/sigstore/model-transparency
"""

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.check import because
from patchbay.adapters.checks.folder import list_folder
from patchbay.adapters.config import SigningConfig
from patchbay.adapters.contents import SIGNATURE_FILE
from patchbay.adapters.digest import file_hash
from patchbay.core.distribution import install_command
from patchbay.core.errors import AdapterError, ConfigError


def verify_folder(folder: Path, config: SigningConfig) -> str | None:
    """Verifies the signature on the adapter in `folder` and returns its signer.

    The signer is a public key's file name and the first digits of its hash. It is None where there is no signature, or
    no key to check one by, and none is required.

    Raises AdapterError where a signature is required and missing, or where the one that is there is by none of the
    keys, or not for these files. Raises ConfigError where signatures cannot be checked.
    """
    signature = folder / SIGNATURE_FILE
    with because("signature"):
        if not signature.is_file():
            if config.require_signed:
                raise AdapterError(
                    f"{folder} is not signed: it has no {SIGNATURE_FILE}, and the registry takes only signed adapters.",
                    hint="Sign it with 'patchbay adapters sign FOLDER --key KEY'.",
                )
            return None
        if not config.public_keys:
            if config.require_signed:
                raise ConfigError("registry.signing.require_signed is set, but there are no public_keys to check by.")
            return None
        return _verified(folder, signature, config.public_keys)


def sign_folder(folder: Path, private_key: Path) -> Path:
    """Signs the adapter in `folder` with the elliptic-curve key in the PEM file `private_key`.

    Returns the signature's file. Raises AdapterError where it cannot be signed, ConfigError where the library is
    missing.
    """
    list_folder(folder)
    target = folder / SIGNATURE_FILE
    part = folder / f".{SIGNATURE_FILE}.part"
    with _translated(f"{folder} cannot be signed"):
        config = _module("signing").Config().use_elliptic_key_signer(private_key=private_key)
        config.set_hashing_config(_hashing(_unsigned_files(folder))).sign(folder, part)
        part.rename(target)
    return target


def _verified(folder: Path, signature: Path, keys: Iterable[Path]) -> str:
    faults = []
    for key in keys:
        # What trainers leave behind is no part of an adapter, but whoever signs with other tools may have signed it.
        for ignored in (_unsigned_files(folder), [signature]):
            try:
                with _translated(key.name):
                    verifier = _module("verifying").Config().use_elliptic_key_verifier(public_key=key)
                    verifier.set_hashing_config(_hashing(ignored)).verify(folder, signature)
            except AdapterError as error:
                faults.append(error.message)
            else:
                return f"{key.name} ({file_hash(key)[:12]})"
    raise AdapterError(
        f"{signature}: the signature is not good by any of the registry's public keys: {faults[0]}",
        hint="Sign it again, after its last change, with a key that the registry knows.",
    )


def _unsigned_files(folder: Path) -> list[Path]:
    """Lists everything in `folder` that the signature leaves out: what is no part of the adapter, and the signature."""
    own = {folder / name for name in list_folder(folder).own}
    return [folder / SIGNATURE_FILE, *(path for path in folder.rglob("*") if path.is_file() and path not in own)]


def _hashing(ignored: Iterable[Path]) -> Any:
    return _module("hashing").Config().set_ignored_paths(paths=list(ignored), ignore_git_paths=False)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        raise ConfigError(
            f"Signatures need the package 'model-signing', which cannot be imported: {error}",
            hint=f"Install it: {install_command('signing')}.",
        ) from error


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """The seam where the library's errors become ours: it raises its own, cryptography's, protobuf's and plain ones."""
    try:
        yield
    except (AdapterError, ConfigError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise AdapterError(f"{what}: {lines[0] if lines else type(error).__name__}.") from error
