"""What an engine was started with"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("engine") as table:
        table.add_column(sa.Column("started_with", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("engine") as table:
        table.drop_column("started_with")
