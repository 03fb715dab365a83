"""What may leave the team, a day at a time."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Runs v0020_published.sql."""
    run_sql(__file__)
