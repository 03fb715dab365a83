"""The store: Postgres, holding every accepted observation exactly once."""

from footfall_exporters.postgres.connecting import (
    LOOKING,
    READING,
    SCHEMA,
    WATCHING,
    ReadOnly,
    Unsuitable,
    connect,
    connect_sync,
)  # fmt: skip
from footfall_exporters.postgres.group_commit import Observers
from footfall_exporters.postgres.holding import Holder, SchemaBusy, SchemaConflict
from footfall_exporters.postgres.migrate import NewerSchema, migrate
from footfall_exporters.postgres.reports import REPORTS, Report, report
from footfall_exporters.postgres.retention import Purged, purge
from footfall_exporters.postgres.roles import grant_writer
from footfall_exporters.postgres.schema import apply_catalog
from footfall_exporters.postgres.store import (
    Maintenance,
    PostgresConfig,
    Store,
    database,
    database_as_made,
    is_made,
    prepare,
)

__all__ = [
    "LOOKING", "READING", "REPORTS", "SCHEMA", "WATCHING", "Holder", "Maintenance",
    "NewerSchema", "Observers", "PostgresConfig", "Purged",
    "ReadOnly", "Report", "SchemaBusy", "SchemaConflict", "Store", "Unsuitable", "apply_catalog", "connect",
    "connect_sync", "database", "database_as_made", "grant_writer", "is_made", "migrate", "prepare", "purge",
    "report",
]  # fmt: skip
