"""Distinct groups of weeks, months, products, features and events, beside those of a day in all."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Runs v0019_groups.sql."""
    run_sql(__file__)
