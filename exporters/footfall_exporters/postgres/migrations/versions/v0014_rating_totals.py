"""What all owners say of a prompt, added up as they say it."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Runs v0014_rating_totals.sql."""
    run_sql(__file__)
