"""Secrets may be kept out of the configuration: in files and in the environment."""

import os
from pathlib import Path

import pytest
from pydantic import Field

from patchbay.core.errors import ConfigError
from patchbay.core.secret import FromFile, Secret
from patchbay.core.settings import Settings, parse_settings
from patchbay.router.settings.config import RouterConfig


class Box(Settings):
    one: Secret | None = None
    many: tuple[Secret, ...] = ()
    named: dict[str, Secret] = Field(default_factory=dict)


def test_a_secret_is_read_from_text_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from a file\r\n")
    monkeypatch.setenv("A_TOKEN", "from a variable")
    data = {"one": {"file": str(tmp_path / "token")}, "many": ["as text", {"env": "A_TOKEN"}], "named": {"file": "f"}}
    box = parse_settings(Box, data, source="file")
    assert box.one is not None
    assert box.one.get_secret_value() == "from a file"
    assert [one.get_secret_value() for one in box.many] == ["as text", "from a variable"]
    assert box.named["file"].get_secret_value() == "f"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"file": "/nowhere/token"}, "'one': the secret's file /nowhere/token cannot be read: No such file"),
        ({"file": "token"}, "'one': a secret's file is named by its absolute path"),
        ({"env": "NOT_THERE"}, "the variable NOT_THERE, which is to hold the secret, is not set"),
        ({"env": "NOT-A-NAME"}, "should match pattern"),
        ({"env": "A", "file": "/b"}, "write a secret as text"),
        ({"vault": "x"}, "write a secret as text"),
    ],
)
def test_a_secret_that_cannot_be_found_is_named_and_not_taken_for_none(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_settings(Box, {"one": value}, source="file")


def test_an_empty_file_is_no_secret_and_what_is_no_text_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, message in (("empty", "is empty"), ("bytes", "is no text")):
        with pytest.raises(ConfigError, match=message):
            parse_settings(Box, {"one": {"file": str(tmp_path / name)}}, source="file")


def test_a_pipe_a_device_and_a_large_file_are_no_secrets_and_nobody_waits_for_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 300_000)
    for path, words in (
        (tmp_path / "pipe", "no regular file"),
        ("/dev/zero", "no regular file"),
        (tmp_path / "large", "larger than"),
    ):
        with pytest.raises(ValueError, match=words):
            FromFile(file=Path(path)).read()


def test_a_router_takes_all_its_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("s3cret")
    told = {"file": str(tmp_path / "s")}
    config = parse_settings(
        RouterConfig,
        {
            "replicas": [{"url": "http://127.0.0.1:1", "token": told}],
            "api_keys": [told],
            "admin_token": told,
            "admin_tokens": [{"name": "ci", "token": told}],
            "registry": {"url": told},
            "counters": {"redis": told},
            "canary": {"webhook": "http://127.0.0.1:2", "webhook_token": told},
            "tracing": {"endpoint": "http://127.0.0.1:3", "headers": {"x-key": told}},
            "guards": {"ours": {"kind": "http", "url": "http://127.0.0.1:4", "token": told}},
            "guard_key": told,
        },
        source="file",
    )
    assert config.registry is not None
    assert config.registry.url.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(config)


def test_a_router_whose_every_pool_is_reserved_is_refused() -> None:
    data = {
        "replicas": [{"url": "http://127.0.0.1:1", "pool": "canary"}],
        "canary": {"reserved_pools": ["canary"]},
    }
    with pytest.raises(ConfigError, match="nobody would be answered"):
        parse_settings(RouterConfig, data, source="file")
