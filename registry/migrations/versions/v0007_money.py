"""What was used costs whole billionths"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Routers of before go on adding to `cost` until each has been replaced, so it stays.
    op.add_column("usage", sa.Column("billionths", sa.BigInteger(), nullable=False, server_default="0"))
