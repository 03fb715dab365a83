"""Runs the .sql file of a revision inside Alembic's transaction."""

from pathlib import Path

from alembic import op


def run_sql(revision_file: str) -> None:
    """Executes the file of the same name with the ending `.sql`, as it stands (no parameters)."""
    sql = Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8")
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("migrations need a live connection")
    connection.execute(sql)
