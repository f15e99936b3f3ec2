"""Remedies that were a step"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "remedy",
        sa.Column("command_id", _ID, sa.ForeignKey("command.id"), primary_key=True),
        sa.Column("host", sa.Text(), primary_key=True),
        sa.Column("order_id", _ID, sa.ForeignKey("order.id"), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("direction", "node")],
        sa.Column("attempt", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("step", "code", "remedy", "state")],
        sa.Column("deadline_s", sa.Float(), nullable=False),
        sa.Column("problem", sa.JSON(), nullable=True),
        sa.Column("begun_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
    )
    op.create_index("ix_remedy_order_id", "remedy", ["order_id"])
    op.create_index("ix_remedy_remedy_code", "remedy", ["remedy", "code"])


def downgrade() -> None:
    op.drop_table("remedy")
