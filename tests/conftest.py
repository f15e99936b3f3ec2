"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401

# How long an example takes says nothing on a busy machine; pytest's own deadline ends what hangs.
settings.register_profile("cockpit", deadline=None)
settings.load_profile("cockpit")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:  # noqa: F811
    """A fresh, empty database of a private PostgreSQL server."""
    database = postgres_server.create_database()
    yield postgres_server.url(database)
    postgres_server.drop_database(database)
