"""Steps that were skipped, hosts that leave their order, limits that were changed, groups to pause before, and who took it over"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("host_run") as table:
        table.add_column(sa.Column("skips", sa.JSON(), nullable=True))
        table.add_column(sa.Column("leaving", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("order") as table:
        table.add_column(sa.Column("max_failures", sa.Integer(), nullable=True))
        table.add_column(sa.Column("pauses_before", sa.JSON(), nullable=True))
        table.add_column(sa.Column("handed_to", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("host_run") as table:
        table.alter_column("leaving", server_default=None)
    with op.batch_alter_table("order") as table:
        table.alter_column("handed_to", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("order") as table:
        table.drop_column("handed_to")
        table.drop_column("pauses_before")
        table.drop_column("max_failures")
    with op.batch_alter_table("host_run") as table:
        table.drop_column("leaving")
        table.drop_column("skips")
