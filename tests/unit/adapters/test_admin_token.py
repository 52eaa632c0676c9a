import stat
import subprocess
import sys
from pathlib import Path

import pytest

from patchbay.core import admin_token
from patchbay.core.admin_token import admin_headers, own_token, shown_token, token_path
from patchbay.core.errors import ConfigError


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = token_path({"PATCHBAY_DATA_DIR": str(tmp_path / "data")})
    token = own_token(path)
    assert len(token) >= 40
    assert own_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["admin-token"]


def test_processes_that_start_at_the_same_time_agree_on_it(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    # They wait for each other's line before they look.
    code = "import sys; from pathlib import Path; from patchbay.core.admin_token import own_token; "
    code += "print('here', flush=True); sys.stdin.readline(); print(own_token(Path(sys.argv[1])))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "here\n"
    told = {one.communicate("go\n", timeout=60)[0] for one in started}
    assert told == {path.read_text()}


def test_a_token_that_another_process_has_just_made_stays(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    token = own_token(path)
    # By a process that had looked before it was there.
    admin_token._make(path)
    assert own_token(path) == token
    assert [one.name for one in tmp_path.iterdir()] == ["admin-token"]


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [("x" * 43, 0o644, "by others"), ("", 0o600, "no admin token"), ("short", 0o600, "no admin token")],
)
def test_a_token_that_others_read_or_that_is_none_is_refused_with_what_to_do(
    tmp_path: Path, text: str, mode: int, says: str
) -> None:
    path = tmp_path / "admin-token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"{says}.*Remove the file"):
        own_token(path)


def test_a_folder_that_cannot_be_written_is_a_configuration_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Set admin_token"):
        own_token(tmp_path / "file" / "admin-token")


def test_commands_show_the_variables_token_before_the_files_and_none_where_there_is_none(tmp_path: Path) -> None:
    environ = {"PATCHBAY_DATA_DIR": str(tmp_path)}
    assert shown_token(environ) is None
    assert admin_headers(environ) == {}
    token = own_token(token_path(environ))
    assert admin_headers(environ) == {"authorization": f"Bearer {token}"}
    assert shown_token(environ | {"PATCHBAY_ADMIN_TOKEN": "other"}) == "other"
