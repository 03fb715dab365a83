"""What is forwarded: windows of time for counts, markers that make a loop known, who keeps a tally."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Runs v0006_forwarding.sql."""
    run_sql(__file__)
