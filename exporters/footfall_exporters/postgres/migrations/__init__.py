"""Schema migrations: Alembic runs the plain .sql files beside the revisions."""
