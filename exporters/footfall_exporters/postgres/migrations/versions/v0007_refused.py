"""Requests that were refused."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Runs v0007_refused.sql."""
    run_sql(__file__)
