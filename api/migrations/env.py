"""Called by Alembic: runs the revisions on the connection that `api.migrations.upgrade` has opened."""

from alembic import context

from api.records.tables import tables

context.configure(connection=context.config.attributes["connection"], target_metadata=tables, render_as_batch=True)
context.run_migrations()
