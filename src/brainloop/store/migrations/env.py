"""What Alembic runs: every step within the one transaction that `brainloop.store.schema.upgrade` hands in."""

from alembic import context

from brainloop.store.tables import META

context.configure(connection=context.config.attributes["connection"], target_metadata=META, transactional_ddl=True)
context.run_migrations()
