"""What events may carry."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Runs v0028_attributes.sql."""
    run_sql(__file__)
