"""Streams of counters, and spans, by a keyed hash; repeated requests are counted."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Runs v0005_identities.sql."""
    run_sql(__file__)
