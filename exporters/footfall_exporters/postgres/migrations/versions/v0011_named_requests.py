"""What a request said that its sender named."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Runs v0011_named_requests.sql."""
    run_sql(__file__)
