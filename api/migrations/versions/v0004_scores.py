"""Scores of trials and the standing of campaigns are kept; `api.records.standings.fill` makes those of what there is"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "score",
        sa.Column("campaign", sa.String(length=32), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Float(), nullable=True),
        sa.Column("body_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign"],
            ["campaign.id"],
        ),
        sa.PrimaryKeyConstraint("campaign", "trial"),
    )
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.create_index("score_best", ["campaign", "loss", "trial"], unique=False)
    op.create_table(
        "standing",
        sa.Column("campaign", sa.String(length=32), nullable=False),
        sa.Column("body_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign"],
            ["campaign.id"],
        ),
        sa.PrimaryKeyConstraint("campaign"),
    )


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
