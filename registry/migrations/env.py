"""Alembic's environment: runs the steps on the connection that it is given, within its transaction."""

from alembic import context

from patchbay.registry.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, transactional_ddl=True, transaction_per_migration=False
)
context.run_migrations()
