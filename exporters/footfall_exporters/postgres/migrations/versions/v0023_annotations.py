"""Operators say what happened; logins and links to the page are signed."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Runs v0023_annotations.sql."""
    run_sql(__file__)
