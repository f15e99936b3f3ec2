"""Balancers an order waits for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("order") as table:
        table.add_column(sa.Column("outages", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("order") as table:
        table.drop_column("outages")
