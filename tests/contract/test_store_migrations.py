"""The migrations' tables are those of `tables.py`, on both databases, and the list of revisions is that of the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.store.file_systems import network_file_system
from engine.store.migrations import HEAD, REVISIONS, configuration
from engine.store.store import Store, StoreError
from engine.store.tables import metadata
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        opened = Store.open(f"sqlite:///{tmp_path / 'a.db'}")
        yield opened
        opened.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database = server.create_database()
    opened = Store.open(server.url(database))
    yield opened
    opened.close()
    server.drop_database(database)


def test_migrated_tables_are_those_of_the_code(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        difference: list[Any] = compare_metadata(context, metadata)
    assert difference == [], 'write a migration: python -m engine.store.migrations "why"'


def test_unique_constraints_and_foreign_keys_are_those_of_the_code(store: Store) -> None:
    with store.reading() as connection:
        inspector = sa.inspect(connection)
        for name, table in metadata.tables.items():
            uniques = {tuple(found["column_names"]) for found in inspector.get_unique_constraints(name)}
            assert uniques == {
                tuple(column.name for column in constraint.columns)
                for constraint in table.constraints
                if isinstance(constraint, sa.UniqueConstraint)
            }
            foreign = {tuple(found["constrained_columns"]) for found in inspector.get_foreign_keys(name)}
            assert foreign == {tuple(constraint.column_keys) for constraint in table.foreign_key_constraints}


def test_every_revision_is_known_by_number(store: Store) -> None:
    with store.reading() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
    in_files = [script.revision for script in scripts.walk_revisions()][::-1]
    assert tuple(in_files) == REVISIONS
    assert scripts.get_current_head() == HEAD == REVISIONS[-1]


MOUNTS = """\
/dev/vda / ext4 rw 0 0
filer:/home /home nfs4 rw,vers=4.2 0 0
tmpfs /home/ops/local tmpfs rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
ops@jump: /mnt/far fuse.sshfs rw 0 0
filer:/old /srv nfs rw 0 0
/dev/vdb /srv xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/cockpit.db", None),
        ("/home/ops/cockpit.db", "nfs4"),
        ("/home/ops/local/cockpit.db", None),
        ("/homework/cockpit.db", None),
        ("/mnt/my share/a/b.db", "cifs"),
        ("/mnt/far/b.db", "fuse.sshfs"),
        ("/srv/b.db", None),
    ],
)
def test_the_innermost_mount_decides_whether_a_path_is_on_the_network(path: str, kind: str | None) -> None:
    assert network_file_system(Path(path), MOUNTS) == kind


def test_sqlite_on_a_network_file_system_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nfiler:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("engine.store.file_systems.MOUNTS", mounts)
    with pytest.raises(StoreError) as refused:
        Store.open(f"sqlite:///{tmp_path / 'deep' / 'a.db'}")
    assert refused.value.problem.code == "store_network_filesystem"
    assert "nfs4" in str(refused.value)
    assert "PostgreSQL" in str(refused.value)
    assert not (tmp_path / "deep").exists()


def test_what_was_audited_before_becomes_the_history_of_its_order(store: Store) -> None:
    """A store of the version before: its audit said the order in words only, and knew no refusals."""
    from alembic import command

    with store.writing() as conn:
        command.downgrade(configuration(conn), "0003")
        texts = [sa.column(name) for name in ("at", "operator", "act", "target", "reason")]
        old = sa.table("audit", *texts, sa.column("after", sa.JSON))
        words = {"operator": "alice", "reason": "", "at": 1.0}
        conn.execute(
            sa.insert(old),
            [
                {**words, "act": "create_release", "target": "order #7", "after": {"app": "shop"}},
                {**words, "act": "cancel", "target": "order #7", "after": {"command": 3, "params": {}}},
                {**words, "act": "catalogue_add", "target": "host acme/prod/order #7", "after": None},
            ],
        )
    with store.writing() as conn:
        command.upgrade(configuration(conn), "head")
        audit = metadata.tables["audit"].c
        rows = conn.execute(
            sa.select(audit.act, audit.order_id, audit.command_id, audit.outcome).order_by(audit.id)
        ).all()
    assert [tuple(row) for row in rows] == [
        ("create_release", 7, None, "done"),
        ("cancel", 7, 3, "done"),
        ("catalogue_add", None, None, "done"),
    ]
