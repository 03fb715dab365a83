"""Two versions side by side, kept of each environment as well."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Runs v0031_releases_by_environment.sql."""
    run_sql(__file__)
