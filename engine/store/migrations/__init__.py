"""The tables' history: which form a store has, and how it gets to this version's. Called by `Store.open` only.

Alembic is imported only when there is something to migrate, because it takes longer than all of the rest of opening.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from engine.domain.message import message
from engine.store.failures import StoreError, store_error

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0009"
# Oldest first; a unit test holds it against the files in versions/
REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
)

FOLDER = Path(__file__).parent

_version = sa.table("alembic_version", sa.column("version_num", sa.String))


def current_revision(connection: sa.Connection) -> str | None:
    """The revision the store has; None when it has no tables yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.select(_version.c.version_num)).scalar_one_or_none()
    return None if found is None else str(found)


def is_head(connection: sa.Connection, store: str) -> bool:
    """Whether nothing is to be done. Raises StoreError `store_too_new`."""
    found = current_revision(connection)
    if found is not None and found not in REVISIONS:
        raise _too_new(store, found)
    return found == HEAD


def migrate(connection: sa.Connection, store: str) -> None:
    """Bring the store to `HEAD` in the transaction of `connection`. The caller keeps others out. Raises StoreError."""
    if is_head(connection, store):
        return
    from alembic import command

    command.upgrade(configuration(connection), "head")


def configuration(connection: sa.Connection) -> Config:
    """Alembic's configuration for this folder and an open connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _too_new(store: str, found: str) -> StoreError:
    return store_error(
        "store_too_new",
        message(
            "The store {store} was written by a newer cockpit (tables {found}; this one knows up to {head}).",
            store=store,
            found=found,
            head=HEAD,
        ),
        message("Update the cockpit on this machine; an older one must not write to this store."),
    )
