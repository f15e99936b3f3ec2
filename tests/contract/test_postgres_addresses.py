"""Addresses of PostgreSQL stores, on a real server that asks for a password: libpq's forms work, and nothing shows the password."""

from __future__ import annotations

import itertools
import logging
import subprocess
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from cockpit.cli.run import run
from cockpit.settings import SettingsError, load_settings
from engine.store.postgres_address import read_address
from engine.store.store import Store, StoreError
from tests.support.postgres import PostgresServer, start_server

PASSWORD = "Zq7@kW:9x/Vt?jB#4%Ym"
USER = "ops"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = start_server()
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all {USER} 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    with psycopg.connect(f"host=127.0.0.1 port={server.port} user=cockpit dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {USER} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
        admin.execute("SELECT pg_reload_conf()")
    yield server
    server.remove()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    name = server.create_database()
    yield name
    server.drop_database(name)


def works(address: str) -> None:
    """It can be opened, read, written and watched."""
    store = Store.open(address)
    try:
        token = store.change_token()
        deadline = time.monotonic() + 20
        while (settled := store.wait_change(token, 0.5)) != token:
            token = settled
            assert time.monotonic() < deadline
        with store.writing() as conn:
            conn.exec_driver_sql("SELECT 1")
        assert store.wait_change(token, 20) != token
        assert not pieces_of(PASSWORD, str(store))
    finally:
        store.close()


def pieces_of(secret: str, text: str) -> set[str]:
    """Every piece of three or more characters of the secret that the text shows, plain or percent-encoded."""
    pieces = {secret[start:end] for start, end in itertools.combinations(range(len(secret) + 1), 2) if end - start >= 3}
    return {piece for piece in pieces for form in (piece, quote(piece, safe="")) if form in text}


def test_a_password_with_every_special_character_percent_encoded(server: PostgresServer, database: str) -> None:
    works(f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{database}")


def test_characters_that_libpq_takes_as_they_are(server: PostgresServer, database: str) -> None:
    plain = PASSWORD.replace("%", "%25").replace("@", "%40").replace("/", "%2F").replace("?", "%3F")
    assert ":" in plain
    assert "#" in plain
    works(f"postgresql+psycopg://{USER}:{plain}@127.0.0.1:{server.port}/{database}")


def test_several_hosts_of_which_the_first_is_away(server: PostgresServer, database: str) -> None:
    password = quote(PASSWORD, safe="")
    works(f"postgresql://{USER}:{password}@127.0.0.1:1,127.0.0.1:{server.port}/{database}?connect_timeout=5")


def test_a_service_and_a_passfile(
    server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, passwords = tmp_path / "services", tmp_path / "passwords"
    services.write_text(f"[prod]\nhost=127.0.0.1\nport={server.port}\nuser={USER}\ndbname={database}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passwords.write_text(f"127.0.0.1:{server.port}:*:{USER}:{escaped}\n")
    passwords.chmod(0o600)
    works(f"postgresql://?service=prod&passfile={passwords}")
    works(f"service=prod passfile={passwords}")
    works(f"host=127.0.0.1 port={server.port} user={USER} dbname={database} password='{PASSWORD}'")
    assert str(load_settings("service=prod").store) == "service=prod"


BAD = [
    "postgresql://ops:{password}@127.0.0.1:{port}/{database}",  # @, / and ? as they are
    "postgresql://ops:{at}@127.0.0.1:{port}/{database}",
    "postgresql://ops:{slash}@127.0.0.1:{port}/{database}",
    "postgresql://ops:{question}@127.0.0.1:{port}/{database}",
    "postgresql://ops:{percent}@127.0.0.1:{port}/{database}",
    "postgresql://ops:{slash}",
    "postgresql://ops@127.0.0.1:{slash}/{database}",
    "postgresql://ops@127.0.0.1:{port}/{database}?password={at}",
    "postgresql://ops@127.0.0.1:{port}/{database}?nonsense={slash}",
    "postgresql:/ops:{slash}@127.0.0.1/{database}",
    "mysql://ops:{at}@127.0.0.1/{database}",
    "host=127.0.0.1 dbname=postgresql://ops:{encoded}@127.0.0.1/x",
    "host=127.0.0.1 password='{at}",
    "host=127.0.0.1 port={slash}",
    "postgresql://ops:{encoded}@127.0.0.1:{port}/x?passfile=relative",
]


@pytest.mark.parametrize("address", BAD)
def test_a_bad_address_is_a_sentence_without_a_piece_of_the_password(
    address: str,
    server: PostgresServer,
    database: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "Zq7kWJ9xVtjB4Ym"
    forms = {"at": "@", "slash": "/", "question": "?", "percent": "%zz"}
    given = address.format(
        password=PASSWORD,
        encoded=quote(PASSWORD, safe=""),
        port=server.port,
        database=database,
        **{name: secret[:7] + char + secret[7:] for name, char in forms.items()},
    )
    caplog.set_level(logging.DEBUG)
    with pytest.raises((StoreError, SettingsError)) as refused:
        Store.open(load_settings(given).store)
    said = "".join(traceback.format_exception(refused.value.with_traceback(None)))
    assert run(["app", "list", "--store", given]) == 1
    shown = capsys.readouterr()
    for text in (said, shown.out + shown.err, caplog.text):
        assert not pieces_of(secret, text) | pieces_of(PASSWORD, text), text
    assert "Traceback" not in shown.err
    assert refused.value.problem.code in ("store_address_invalid", "settings_invalid")


def test_a_wrong_password_and_a_dead_server_are_told_without_it(server: PostgresServer, database: str) -> None:
    wrong = "Hj5Kx0Nv8Qz"
    for place in (f"127.0.0.1:{server.port}", "127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2"):
        with pytest.raises(StoreError) as refused:
            Store.open(f"postgresql://{USER}:{wrong}@{place}/{database}")
        assert refused.value.problem.code == "store_unreachable"
        assert place.split(",")[0] in str(refused.value)
        assert not pieces_of(wrong, "".join(traceback.format_exception(refused.value)))


def test_the_engines_log_has_no_piece_of_it(server: PostgresServer, tmp_path: Path) -> None:
    """An engine that can't reach its store, with everything it says in its log."""
    wrong = "Hj5Kx0Nv8Qz"
    address = f"postgresql://{USER}:{wrong}@127.0.0.1:{server.port}/none"
    code = (
        "from cockpit.engine_process import run_engine\nfrom cockpit.settings import load_settings\n"
        "import logging; logging.getLogger().setLevel(logging.DEBUG)\nrun_engine(load_settings(), embedded=True)"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "COCKPIT_STORE": address,
        "COCKPIT_DATA_DIR": str(tmp_path),
    }
    import sys

    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, cwd=Path.cwd()
    )
    assert ran.returncode != 0
    assert "store_unreachable" in ran.stderr or "can't be opened" in ran.stderr
    assert not pieces_of(wrong, ran.stderr + ran.stdout)


def test_what_is_shown_of_an_address_leads_to_the_place() -> None:
    shown = {
        "postgresql://ops:x@db1:5432,db2:5433/cockpit": "postgresql://ops@db1:5432,db2:5433/cockpit",
        "postgres://ops@[::1]/cockpit": "postgresql://ops@[::1]/cockpit",
        "postgresql://?service=prod": "postgresql:///?service=prod",
        "host=/var/run/postgresql dbname=c password=x": "postgresql://%2Fvar%2Frun%2Fpostgresql/c",
    }
    assert {address: read_address(address).shown for address in shown} == shown
    assert "x@" not in repr(read_address("postgresql://ops:x@db1/cockpit"))
