"""What came of each feature lately, and whether that is more or less than before."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Runs v0017_inventory.sql."""
    run_sql(__file__)
