"""What the catalogs declare, so that an event that never came is there to be seen."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Runs v0015_catalog.sql."""
    run_sql(__file__)
