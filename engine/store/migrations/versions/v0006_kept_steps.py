"""What a retry keeps of the attempt before, and where that one failed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("host_run") as table:
        table.add_column(sa.Column("failed_at", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("from_start", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("step") as table:
        table.add_column(sa.Column("kept_from", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("host_run") as table:
        table.alter_column("failed_at", server_default=None)
        table.alter_column("from_start", server_default=None)
    with op.batch_alter_table("step") as table:
        table.alter_column("kept_from", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("step") as table:
        table.drop_column("kept_from")
    with op.batch_alter_table("host_run") as table:
        table.drop_column("from_start")
        table.drop_column("failed_at")
