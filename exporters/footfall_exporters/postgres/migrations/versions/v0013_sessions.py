"""Sessions, and what is known of them."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Runs v0013_sessions.sql."""
    run_sql(__file__)
