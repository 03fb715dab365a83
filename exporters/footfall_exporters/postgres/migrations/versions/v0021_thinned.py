"""Observations that are kept for less than others."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Runs v0021_thinned.sql."""
    run_sql(__file__)
