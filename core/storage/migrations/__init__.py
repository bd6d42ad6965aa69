"""Alembic's migrations, one file a revision under `versions`."""
