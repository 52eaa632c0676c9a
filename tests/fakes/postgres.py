"""A real PostgreSQL server in a temporary folder, on a socket of its own, for as long as a test run lasts."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.servers import NO_POSTGRES, PostgresServer, postgres_programs

NO_SERVER = f"{NO_POSTGRES}, so it is not tested here"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server whose socket is in `folder`."""

    folder: Path
    user: str
    server: PostgresServer

    def new_database(self) -> str:
        """The URL of a database that is empty."""
        return self.server.new_database(f"test_{uuid.uuid4().hex}")


def server_programs() -> Path | None:
    """The folder with PostgreSQL's server programs, or None."""
    return postgres_programs()


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server, ended with the block. Raises StartError where it is not installed."""
    server = PostgresServer()
    try:
        yield Postgres(server.folder, server.user, server)
    finally:
        server.end()
