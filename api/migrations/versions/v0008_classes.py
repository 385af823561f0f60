"""Classes, their tasks, labs, hand-ins and grades"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the tables: until now everybody was of no class."""
    op.add_column("person", sa.Column("classroom", sa.String(32)))
    op.create_index("ix_person_classroom", "person", ["classroom"])
    op.add_column("person", sa.Column("nickname", sa.String(40)))
    op.add_column("join_code", sa.Column("classroom", sa.String(32)))
    op.create_table(
        "classroom",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(20), nullable=False, unique=True),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("archived_at", sa.Float()),
    )
    op.create_table(
        "task",
        sa.Column("rig", sa.String(40), sa.ForeignKey("rig.name"), primary_key=True),
        sa.Column("classroom", sa.String(32), sa.ForeignKey("classroom.id"), nullable=False, index=True),
        sa.Column("body_json", sa.Text(), nullable=False),
        sa.Column("places_json", sa.Text()),
        sa.Column("pilots_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "lab",
        sa.Column("rig", sa.String(40), sa.ForeignKey("task.rig"), primary_key=True),
        sa.Column("person", sa.String(32), sa.ForeignKey("person.id"), primary_key=True),
        sa.Column("generator", sa.Integer(), nullable=False),
        sa.Column("draw", sa.Integer(), nullable=False),
        sa.Column("tries_json", sa.Text(), nullable=False),
        sa.Column("goal", sa.Text()),
        sa.Column("plays_json", sa.Text()),
        sa.Column("closes_at", sa.Float()),
        sa.Column("is_exempt", sa.Boolean(), nullable=False, server_default="0"),
    )
    op.create_table(
        "hand_in",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("rig", sa.String(40), sa.ForeignKey("task.rig"), nullable=False),
        sa.Column("person", sa.String(32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("body_json", sa.Text(), nullable=False),
        sa.Column("spent_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("found_json", sa.Text()),
        sa.Column("withdrawn_at", sa.Float()),
    )
    op.create_index("hand_in_of", "hand_in", ["rig", "person"])
    op.create_table(
        "grade",
        sa.Column("id", _number, primary_key=True, autoincrement=True),
        sa.Column("hand_in", sa.String(32), sa.ForeignKey("hand_in.id"), nullable=False, index=True),
        sa.Column("points", sa.Float(), nullable=False),
        sa.Column("parts_json", sa.Text(), nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
