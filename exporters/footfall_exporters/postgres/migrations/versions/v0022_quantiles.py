"""Histograms of durations are decoded for whoever reads them."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Runs v0022_quantiles.sql."""
    run_sql(__file__)
