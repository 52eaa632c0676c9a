"""What each router serves, for the commands that judge a canary's plan by it"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Routers of before do not tell it.
    op.add_column("routers", sa.Column("served", sa.JSON(), nullable=True))
