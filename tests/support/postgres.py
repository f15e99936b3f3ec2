"""A private PostgreSQL for the tests: made in a temporary folder, on a loopback port of its own, thrown away at the end.

Import `postgres_server` and `postgres_url` into a test module (or a conftest) to use them. Missing binaries fail the tests;
they never skip.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

DEADLINE_S = 60
_numbers = itertools.count(1)


@dataclass
class PostgresServer:
    """A running server. Databases are handed out by copying `template1`, so each test starts with an empty one."""

    folder: Path
    binaries: Path
    port: int
    prefix: list[str] = field(default_factory=list)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://cockpit@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template1") -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with self._administer() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        with self._administer() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(
            f"postgresql://cockpit@127.0.0.1:{self.port}/postgres", autocommit=True, connect_timeout=10
        )

    def start(self) -> None:
        # `-w` waits until it answers. Only a crash of the machine could lose data this way, and then it is thrown away anyhow.
        settings = (
            f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
            " -c full_page_writes=off -c shared_buffers=16MB -c max_connections=80"
        )
        self._control("start", "-w", "-t", str(DEADLINE_S), "-o", settings, "-l", str(self.folder / "server.log"))

    def stop(self) -> None:
        self._control("stop", "-m", "immediate", "-w")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        command = [*self.prefix, str(self.binaries / "pg_ctl"), "-D", str(self.folder / "data"), *arguments]
        # Output goes to a file: the server keeps a pipe open and the wait for its end would never end.
        with (self.folder / "control.log").open("ab") as output:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=DEADLINE_S, cwd=self.folder
            )
        if done.returncode != 0:
            logs = "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{logs}")


def _binaries() -> Path:
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail(
            "PostgreSQL's server binaries (initdb, pg_ctl) are not installed; these tests need them (14 or newer)."
        )
    return found[-1].parent


def _unprivileged() -> tuple[list[str], str | None]:
    """The server refuses to run as root: the words before its commands, and the account they run as."""
    if os.geteuid() != 0:
        return [], None
    for account in ("postgres", "nobody"):
        try:
            pwd.getpwnam(account)
        except KeyError:
            continue
        return ["runuser", "-u", account, "--"], account
    pytest.fail("The tests run as root and there is no account `postgres` or `nobody` to run PostgreSQL as.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server() -> PostgresServer:
    """Make and start a server; the caller ends it with `remove`."""
    binaries = _binaries()
    prefix, account = _unprivileged()
    # Not pytest's folder: the other account can't enter that
    folder = Path(tempfile.mkdtemp(prefix="cockpit-postgres-"))
    if account is not None:
        shutil.chown(folder, account)
    initdb = [*prefix, str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "cockpit", "-A", "trust", "-N"]
    subprocess.run(
        [*initdb, "-E", "UTF8", "--locale=C"], check=True, capture_output=True, timeout=DEADLINE_S, cwd=folder
    )
    server = PostgresServer(folder, binaries, _free_port(), prefix)
    server.start()
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = start_server()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    database = postgres_server.create_database()
    yield postgres_server.url(database)
    postgres_server.drop_database(database)
