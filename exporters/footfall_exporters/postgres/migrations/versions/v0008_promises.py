"""Keyed digests, locks that ask for rights, no statistics of what is private, settled counts of groups."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Runs v0008_promises.sql."""
    run_sql(__file__)
