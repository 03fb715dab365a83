"""Alerts: their state, silences and messages."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Runs v0024_alerts.sql."""
    run_sql(__file__)
