"""Clocks, verdicts and checkpoints of canaries, and the installation's id"""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("state", sa.Column("installation", sa.String(length=32), nullable=True))
    state = sa.table("state", sa.column("installation", sa.String))
    op.get_bind().execute(sa.update(state).values(installation=uuid.uuid4().hex))
    op.add_column("routers", sa.Column("since", _TIME, nullable=True))
    for column in (
        sa.Column("paused_at", _TIME, nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("paused_s", sa.Float(), nullable=False, server_default="0"),
        sa.Column("verdict_at", _TIME, nullable=True),
        sa.Column("verdict_generation", sa.BigInteger(), nullable=True),
        sa.Column("judged", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("canaries", column)
    op.create_table(
        "checkpoints",
        sa.Column("canary", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("ledger", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("canary"),
    )
    _find_judged()


def _find_judged() -> None:
    """Notes the last look of each canary at which its evidence was judged."""
    connection = op.get_bind()
    looks = sa.table("looks", sa.column("canary"), sa.column("number"), sa.column("verdict"))
    canaries = sa.table("canaries", sa.column("id"), sa.column("judged"))
    judged = sa.cast(looks.c.verdict, sa.Text).like('%"place"%')
    last = sa.select(looks.c.canary, sa.func.max(looks.c.number).label("number")).where(judged).group_by(looks.c.canary)
    for row in connection.execute(last).all():
        connection.execute(sa.update(canaries).where(canaries.c.id == row.canary).values(judged=row.number))
