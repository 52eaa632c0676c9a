"""Configuration files: every fault has its place, and a slip of the pen its suggestion."""

from pathlib import Path

import pytest
from pydantic import Field

from patchbay.core.errors import ConfigError
from patchbay.core.paths import data_dir
from patchbay.core.settings import Settings, is_loopback, load_yaml, parse_settings


class Inner(Settings):
    count: int = 1


class Outer(Settings):
    inner: Inner = Inner()
    many: dict[str, Inner] = Field(default_factory=dict)


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"file: unknown key 'inner.cuont' \(did you mean 'count'\?\)\."):
        parse_settings(Outer, {"inner": {"cuont": 2}}, source="file")


def test_every_fault_is_listed_and_not_only_the_first() -> None:
    with pytest.raises(ConfigError, match=r"'inner.count'[^\n]*\n  unknown key 'zzz' \(known here: inner, many\)"):
        parse_settings(Outer, {"inner": {"count": "x"}, "zzz": 1}, source="file")


@pytest.mark.parametrize("text", ["api_keys: [hunter2\nroutes: {", "token: hunter2: 1", "hunter2\0"])
def test_what_is_no_yaml_is_told_on_one_line_without_the_files_own_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "patchbay.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="is not valid YAML: ") as caught:
        load_yaml(file)
    assert len(str(caught.value).splitlines()) == 1
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("a: [", "not valid YAML"), ("- 1", "must hold a mapping")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_yaml(tmp_path / "c.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_yaml(tmp_path / "none.yaml")


def test_an_empty_file_is_an_empty_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")
    assert load_yaml(tmp_path / "c.yaml") == {}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_loopback_counts_as_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_data_directory_follows_its_variables() -> None:
    assert data_dir({"PATCHBAY_DATA_DIR": "/d", "XDG_DATA_HOME": "/x"}) == Path("/d")
    assert data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/patchbay")
    assert data_dir({}).parts[-3:] == (".local", "share", "patchbay")
