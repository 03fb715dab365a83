"""Two versions side by side, kept."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Runs v0029_releases.sql."""
    run_sql(__file__)
