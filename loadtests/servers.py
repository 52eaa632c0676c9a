"""The real servers of others that are hung, cut and killed on purpose: PostgreSQL and Redis, each of a run of its
own."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import redis

from patchbay.core.errors import StartError

NO_POSTGRES = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
NO_REDIS = "Redis is not installed (Debian: apt-get install redis-server)"
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")
_LOOK_S = 0.1
_START_S, _END_S = 60.0, 30.0


def free_port() -> int:
    """A port that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def postgres_programs() -> Path | None:
    """The folder with PostgreSQL's server programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    program = shutil.which("initdb")
    return Path(program).resolve().parent if program else None


def has_redis() -> bool:
    """Whether there is a Redis server to start."""
    return shutil.which("redis-server") is not None


class Server:
    """A server of a test run that can be hung and resumed, killed and started again."""

    def __init__(self, command: list[str], log: Path | None, folder: Path | None = None) -> None:
        self._command = command
        self._log = log
        self._folder = folder
        self._hung: list[psutil.Process] = []
        self.process = self._run()

    def _run(self) -> "subprocess.Popen[bytes]":
        with (self._log or Path(os.devnull)).open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)

    def is_up(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def wait(self) -> None:
        """Waits until it answers. Raises StartError where it does not, or has ended."""
        end_s = time.monotonic() + _START_S
        while time.monotonic() < end_s and self.process.poll() is None:
            if self.is_up():
                return
            time.sleep(_LOOK_S)
        raise StartError(f"{Path(self._command[-1]).name} of this run did not come up.")

    def restart(self) -> None:
        """Starts it again where it has ended, with what it kept on disk."""
        if self.process.poll() is None:
            return
        self.process = self._run()
        self.wait()

    def hang(self) -> None:
        """Stops all of it where it stands (SIGSTOP): connections stay open and nothing answers."""
        parent = psutil.Process(self.process.pid)
        self._hung = [parent, *parent.children(recursive=True)]
        for process in self._hung:
            process.suspend()

    def thaw(self) -> None:
        """Lets it go on (SIGCONT)."""
        for process in self._hung:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._hung = []

    def kill(self) -> None:
        """Ends it, and what it has started, at once (SIGKILL)."""
        parent = psutil.Process(self.process.pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(_END_S)

    def end(self) -> None:
        """Ends it as its operator would."""
        self.thaw()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(_END_S)


class PostgresServer(Server):
    """A PostgreSQL server in a folder of its own, on a socket in it; as root it runs as another user, since it refuses
    to run as root. `end` removes the folder. Raises StartError where it is not installed or does not come up."""

    def __init__(self) -> None:
        programs = postgres_programs()
        if programs is None:
            raise StartError(NO_POSTGRES)
        # Not below a folder that only the user of this process may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="patchbay-pg-"))
        self.user, switch = _postgres_user()
        if switch:
            shutil.chown(self.folder, self.user)
        data = self.folder / "data"
        make = [*switch, str(programs / "initdb"), "-D", str(data), "-U", self.user, "-A", "trust", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, cwd=self.folder)
        options = [part for option in (*_FAST, f"unix_socket_directories={self.folder}") for part in ("-c", option)]
        command = [*switch, str(programs / "postgres"), *options, "-D", str(data)]
        super().__init__(command, self.folder / "log", self.folder)
        self.wait()

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection whose statements each count at once. Raises psycopg's errors."""
        return psycopg.connect(host=str(self.folder), user=self.user, dbname=database, autocommit=True)

    def is_up(self) -> bool:
        """Whether it lets somebody in."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def new_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://{self.user}@/{name}?host={self.folder}"

    def cut(self, database: str) -> int:
        """Ends all connections to `database`, as an operator of PostgreSQL would; how many there were."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        with self.connect() as connection:
            return len(connection.execute(ended, (database,)).fetchall())

    def end(self) -> None:
        """Ends it and removes its folder."""
        try:
            super().end()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer(Server):
    """A Redis server on loopback that keeps nothing on disk. Raises StartError where it is not installed or does not
    come up."""

    def __init__(self) -> None:
        if not has_redis():
            raise StartError(NO_REDIS)
        self.port = free_port()
        bound = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        super().__init__(["redis-server", *bound], None)
        self.wait()

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def is_up(self) -> bool:
        """Whether it answers a ping."""
        with contextlib.closing(redis.Redis(port=self.port, socket_timeout=1)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def _postgres_user() -> tuple[str, list[str]]:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, []
    name = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
    group = pwd.getpwnam(name).pw_gid
    return name, ["setpriv", f"--reuid={name}", "--clear-groups", f"--regid={group}"]
