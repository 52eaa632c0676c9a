"""The migrations of the registry's tables, step by step (Alembic)."""
