"""The role that the ingest connection takes on."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Runs v0003_roles.sql."""
    run_sql(__file__)
