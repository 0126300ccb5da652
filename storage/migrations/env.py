"""Alembic's entry: runs the migrations on the connection it is given, inside that one's transaction."""

from alembic import context

from storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, when the transaction is begun by hand
)
with context.begin_transaction():
    context.run_migrations()
