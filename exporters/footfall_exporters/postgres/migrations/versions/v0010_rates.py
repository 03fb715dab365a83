"""How much each sender has sent in its present minute."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Runs v0010_rates.sql."""
    run_sql(__file__)
