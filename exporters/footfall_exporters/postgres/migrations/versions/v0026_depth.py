"""How many features each group used, by day."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Runs v0026_depth.sql."""
    run_sql(__file__)
