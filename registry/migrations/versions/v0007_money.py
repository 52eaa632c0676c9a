"""The cost of usage in whole billionths"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # `cost` stays, because older routers go on adding to it until each has been replaced.
    op.add_column("usage", sa.Column("billionths", sa.BigInteger(), nullable=False, server_default="0"))
