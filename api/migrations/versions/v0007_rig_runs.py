"""Runs on real rigs can have a limit of their own"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: until now nobody had such a limit, and every experiment was a run."""
    for table in ("account", "join_code"):
        op.add_column(table, sa.Column("rig_runs", sa.Float()))
    for table in ("ledger", "experiment"):
        op.add_column(table, sa.Column("rig_runs", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
