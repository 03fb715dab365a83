"""Durations that are rolled up as they come: one number holds all buckets of an hour, or of a day."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Runs v0016_durations.sql."""
    run_sql(__file__)
