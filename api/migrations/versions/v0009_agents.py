"""Tokens of agents, with a limit of their own, and what was done with them"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: until now nobody said which tokens are agents'."""
    op.add_column("token", sa.Column("is_agent", sa.Boolean(), nullable=False, server_default="0"))
    op.add_column("token", sa.Column("runs", sa.Float()))
    for table in ("campaign", "experiment"):
        op.add_column(table, sa.Column("agent", sa.String(length=32)))
    is_one = sa.text("agent is not null")
    op.create_index("experiment_by", "experiment", ["agent"], sqlite_where=is_one, postgresql_where=is_one)


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
