"""Keys to sign adapters with."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def signing_keys(folder: Path) -> tuple[Path, Path]:
    """A new private key and its public one, as PEM files in `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    secret, public = folder / "secret.pem", folder / "public.pem"
    encoding = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo))
    return secret, public
