"""Alembic's environment, which runs the steps on the given connection, within its transaction."""

from alembic import context

from patchbay.registry.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, transactional_ddl=True, transaction_per_migration=False
)
context.run_migrations()
