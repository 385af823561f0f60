"""People and tokens: by which code somebody came in, under which key, and which token made which"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of people and tokens of before nothing is known."""
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.add_column(sa.Column("code", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("join_key", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_person_code"), ["code"], unique=False)
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parent", sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f("ix_token_parent"), ["parent"], unique=False)


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
