"""`python -m engine.store.migrations "why"` writes the next migration: the difference of `tables.py` to the newest one.

For developers, in a checkout. Read what it wrote, then add its number to `REVISIONS`; the unit test says so if it is forgotten.
"""

from __future__ import annotations

import sys

import sqlalchemy as sa
from alembic import command

from engine.store.migrations import REVISIONS, configuration


def main(why: str) -> None:
    with sa.create_engine("sqlite://").connect() as connection, connection.begin():
        config = configuration(connection)
        if REVISIONS:
            command.upgrade(config, "head")
        command.revision(config, why, autogenerate=True, rev_id=f"{len(REVISIONS) + 1:04d}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
