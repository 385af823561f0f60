"""Logs of campaigns: preferences, rejections and proposals become entries"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and bring into it what was kept as events and beside the campaign."""
    entry = op.create_table(
        "entry",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("campaign", sa.String(length=32), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("body_json", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign"],
            ["campaign.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index("entry_of", ["campaign", "id"], unique=False)
    connection = op.get_bind()

    def add(campaign: str, after: int, body: dict[str, object], by: str, at: float) -> None:
        row = {"campaign": campaign, "after": after, "kind": body["kind"], "body_json": json.dumps(body), "by": by, "at": at}
        connection.execute(entry.insert().values(row))

    preferred = sa.text("select campaign, body_json, at from event where kind = 'campaign.preferred' order by id")
    for campaign, text, at in connection.execute(preferred).all():
        said = json.loads(text)
        body = {"kind": "preference", "better": said["better"], "worse": said["worse"], "why": ""}
        add(campaign, max(said["better"], said["worse"]), body, said["by"], at)
    judged = sa.text("select id, person, proposal_json, created_at from campaign where proposal_json is not null order by number")
    last = sa.text("select coalesce(max(trial), 0) from experiment where campaign = :which")
    for campaign, person, text, at in connection.execute(judged).all():
        proposal = json.loads(text)
        after = connection.execute(last, {"which": campaign}).scalar_one()
        for settings in proposal.get("rejected", []):
            add(campaign, after, {"kind": "proposal", "settings": settings, "why": ""}, person, at)
            add(campaign, after, {"kind": "rejection", "settings": settings, "why": ""}, person, at)
        waits = None
        if "settings" in proposal:
            add(campaign, after, {"kind": "proposal", "settings": proposal["settings"], "why": ""}, person, at)
            waits = json.dumps({"trial": proposal["trial"], "settings": proposal["settings"]})
        connection.execute(sa.text("update campaign set proposal_json = :waits where id = :which"), {"waits": waits, "which": campaign})


def downgrade() -> None:
    """Not possible."""
    raise NotImplementedError("restore a backup")
