"""Workers: a token names the rigs that it drives, a rig has the price that was stated for it"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. A worker's token of before may drive the rigs that there are."""
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rigs", sa.Text(), nullable=True))
    with op.batch_alter_table("rig", schema=None) as batch_op:
        batch_op.add_column(sa.Column("price_json", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("is_local", sa.Boolean(), server_default="0", nullable=False))
    connection = op.get_bind()
    names = " ".join(connection.execute(sa.text("select name from rig order by name")).scalars())
    for identity, scopes in connection.execute(sa.text("select id, scopes from token")).all():
        if "work" in scopes.split():
            connection.execute(sa.text("update token set rigs = :names where id = :which"), {"names": names, "which": identity})


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
