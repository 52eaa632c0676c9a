"""A real PostgreSQL server in a temporary folder, on a socket of its own, for as long as a test run lasts."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

NO_SERVER = "PostgreSQL's server is not installed (Debian: apt-get install postgresql), so it is not tested here"
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server whose socket is in `folder`."""

    folder: Path
    user: str

    def new_database(self) -> str:
        """The URL of a database that is empty."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(host=str(self.folder), user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://{self.user}@/{name}?host={self.folder}"


def server_programs() -> Path | None:
    """The folder with PostgreSQL's server programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    program = shutil.which("initdb")
    return Path(program).resolve().parent if program else None


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server, ended with the block. As root it runs as `nobody`, since it refuses to run as root."""
    programs = server_programs()
    assert programs is not None, NO_SERVER
    # Not in pytest's own folder: that is only for the user who runs the tests.
    folder = Path(tempfile.mkdtemp(prefix="patchbay-pg-"))
    user, switch = _user()
    if switch:
        shutil.chown(folder, user)
    try:
        data = folder / "data"
        run = [*switch, str(programs / "initdb"), "-D", str(data), "-U", user, "-A", "trust", "--no-sync"]
        subprocess.run(run, check=True, capture_output=True, cwd=folder)
        options = [part for option in (*_FAST, f"unix_socket_directories={folder}") for part in ("-c", option)]
        log = (folder / "log").open("wb")
        server = subprocess.Popen(
            [*switch, str(programs / "postgres"), "-D", str(data), *options], stderr=log, stdout=log, cwd=folder
        )
        try:
            _wait(folder, user, server)
            yield Postgres(folder, user)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
            log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> tuple[str, list[str]]:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, []
    name = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
    return name, ["setpriv", f"--reuid={name}", "--clear-groups", f"--regid={pwd.getpwnam(name).pw_gid}"]


def _wait(folder: Path, user: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert server.poll() is None, (folder / "log").read_text()
        try:
            psycopg.connect(host=str(folder), user=user, dbname="postgres").close()
        except psycopg.OperationalError:
            try:
                server.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    raise AssertionError(f"PostgreSQL did not come up: {(folder / 'log').read_text()}")
