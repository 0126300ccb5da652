"""The archive's migrations (Alembic). `storage.database.upgrade` runs them; nobody else does."""
