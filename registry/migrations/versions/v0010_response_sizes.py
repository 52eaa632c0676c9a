"""The size of each kept response, by which a tenant's quota is counted"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("responses", sa.Column("own_size", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE responses SET own_size = length(response) + length(output) + length(input)")
    op.create_index("ix_responses_tenant_own_size", "responses", ["tenant", "own_size"])
