"""How many durations a histogram has, kept beside it."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Runs v0030_observations.sql."""
    run_sql(__file__)
