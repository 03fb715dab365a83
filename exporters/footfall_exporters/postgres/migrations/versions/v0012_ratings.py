"""What owners say of prompts."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Runs v0012_ratings.sql."""
    run_sql(__file__)
