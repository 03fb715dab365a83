"""SQL is in the exporters' room alone: the collector asks for what it wants to know by name."""

import ast
from pathlib import Path

import pytest

import footfall_collector
import footfall_exporters

PACKAGE = Path(footfall_collector.__file__).parent
EXECUTING = {"execute", "executemany", "executescript", "copy"}


def statements(tree):
    """Lines that execute something in a database, or open one of SQLite's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in EXECUTING and node.args:
                yield node.lineno
        elif isinstance(node, ast.Import) and any(name.name == "sqlite3" for name in node.names):
            yield node.lineno


def test_the_collector_executes_no_sql():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 50
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in files
        for line in statements(ast.parse(file.read_text()))
    ]
    assert found == []


def test_the_spool_alone_opens_its_file():
    room = Path(footfall_exporters.__file__).parent
    opening = {f.name for f in room.rglob("*.py") if "import sqlite3" in f.read_text()}
    assert opening == {"spool.py", "spool_file.py", "spool_recovery.py"}


@pytest.mark.parametrize(
    "code",
    ["connection.execute('SELECT 1')", "await cursor.execute(query, [1])", "import sqlite3"],
)
def test_sql_is_found(code):
    assert list(statements(ast.parse(code, mode="exec"))) == [1]
