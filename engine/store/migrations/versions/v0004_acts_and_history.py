"""A command says for what it waits; the audit says which order it belongs to, which command, and what was refused"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

_AUDIT = sa.table(
    "audit",
    sa.column("id", sa.BigInteger),
    sa.column("target", sa.Text),
    sa.column("after", sa.JSON),
    sa.column("order_id", sa.BigInteger),
    sa.column("command_id", sa.BigInteger),
)
ORDER = "order #"


def upgrade() -> None:
    op.add_column("command", sa.Column("waits_for", sa.JSON(), nullable=True))
    op.add_column("command", sa.Column("begun_at", sa.Float(), nullable=True))
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.add_column(sa.Column("order_id", big, nullable=True))
        batch_op.add_column(sa.Column("command_id", big, nullable=True))
        batch_op.add_column(sa.Column("outcome", sa.Text(), nullable=False, server_default="done"))
        batch_op.add_column(sa.Column("problem", sa.JSON(), nullable=True))
        batch_op.create_index(batch_op.f("ix_audit_order_id"), ["order_id"], unique=False)
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.alter_column("outcome", server_default=None)
    _give_orders_their_lines()


def _give_orders_their_lines() -> None:
    """What was written before said the order in words only."""
    conn = op.get_bind()
    rows = conn.execute(
        sa.select(_AUDIT.c.id, _AUDIT.c.target, _AUDIT.c.after).where(_AUDIT.c.target.like(f"{ORDER}%"))
    )
    for row in rows.all():
        number = row.target.removeprefix(ORDER)
        command = row.after.get("command") if isinstance(row.after, dict) else None
        if number.isdecimal():
            values = {"order_id": int(number), "command_id": command if isinstance(command, int) else None}
            conn.execute(sa.update(_AUDIT).where(_AUDIT.c.id == row.id).values(**values))


def downgrade() -> None:
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_order_id"))
        for name in ("problem", "outcome", "command_id", "order_id"):
            batch_op.drop_column(name)
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.drop_column("begun_at")
        batch_op.drop_column("waits_for")
