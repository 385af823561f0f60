"""A twin for each campaign and person: an experiment knows which twin performed it, and as its how-manieth"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns, and number what twins have performed."""
    with op.batch_alter_table("rig") as rig:
        rig.add_column(sa.Column("is_shared", sa.Boolean(), nullable=False, server_default="0"))
    with op.batch_alter_table("experiment") as experiment:
        experiment.add_column(sa.Column("twin", sa.String(length=80)))
        experiment.add_column(sa.Column("twin_number", sa.Integer()))
    op.execute(
        "update experiment set twin = n.twin, twin_number = n.nth from ("
        " select e.number as which, coalesce(e.campaign, e.person || ':' || e.rig) as twin, row_number() over"
        " (partition by coalesce(e.campaign, e.person || ':' || e.rig) order by e.finished_at, e.number) as nth"
        " from experiment e join rig on rig.name = e.rig"
        " where not rig.is_real and e.state in ('succeeded', 'failed') and e.started_at is not null"
        ") as n where experiment.number = n.which"
    )
    op.create_index("twin_of", "experiment", ["twin", "twin_number"], unique=True)


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
