"""What the health checks said of each host: the balancer's own, and ours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("weight", schema=None) as batch_op:
        batch_op.add_column(sa.Column("balancer_health", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("own_health", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("weight", schema=None) as batch_op:
        batch_op.drop_column("own_health")
        batch_op.drop_column("balancer_health")
