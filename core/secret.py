"""The secrets in a configuration: written out, or as a file or variable, so that the configuration need hold none."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator

from patchbay.core.settings import Settings

# Larger than any key, and than a chain of certificates.
_MOST_BYTES = 256 * 1024


class FromFile(Settings):
    """The text of a file, as a mounted Secret has it. What ends it, a line's end, does not count."""

    file: Path

    @field_validator("file")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("a secret's file is named by its absolute path")
        return value

    def read(self) -> str:
        """Reads the secret. Raises ValueError where the file cannot be read, or is no file of a secret's size."""
        try:
            # A pipe is waited for without end, and a device may have no end.
            if not self.file.is_file() and self.file.exists():
                raise ValueError(f"the secret's file {self.file} is no regular file")
            with self.file.open("rb") as opened:
                data = opened.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise ValueError(f"the secret's file {self.file} is larger than {_MOST_BYTES} bytes")
            return data.decode("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"the secret's file {self.file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"the secret's file {self.file} is no text") from error


class FromEnvironment(Settings):
    """The value of a variable of the environment."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    def read(self) -> str:
        """Reads the secret. Raises ValueError where there is no such variable."""
        if (secret := os.environ.get(self.env)) is None:
            raise ValueError(f"the variable {self.env}, which is to hold the secret, is not set")
        return secret


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) not in ({"file"}, {"env"}):
        raise ValueError("write a secret as text, as {file: PATH} or as {env: NAME}")
    try:
        source = FromFile.model_validate(value) if "file" in value else FromEnvironment.model_validate(value)
        secret = source.read()
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    if not secret:
        raise ValueError(
            f"the secret of {', '.join(f'{key} {place_name}' for key, place_name in value.items())} is empty"
        )
    return secret


# A secret as text, as `{file: /run/secrets/token}` or as `{env: TOKEN}`, read when the configuration is.
Secret = Annotated[SecretStr, BeforeValidator(_read, json_schema_input_type=str | FromFile | FromEnvironment)]
