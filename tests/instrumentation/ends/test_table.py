"""The table of docs/guides/ends.md is what the real servers do; `bench/ends.py` compares all of it."""

import pytest

from instrumentation.ends import rows
from instrumentation.ends.sink import receiving

CELLS = rows.documented()


def test_every_way_and_every_end_of_it_is_documented():
    assert {name: set(way.ends) for name, way in rows.WAYS.items()} == {
        name: {end for end, cell in cells.items() if cell != rows.NONE}
        for name, cells in CELLS.items()
    }


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("uvicorn", "TERM"),
        ("uvicorn `--workers 2`", "TERM"),
        ("uvicorn, not instrumented, no lifespan", "TERM"),
        ("gunicorn sync", "limit"),
        ("gunicorn with uvicorn's worker", "reload"),
        ("hypercorn", "TERM"),
        ("uWSGI", "TERM"),
        ("Celery prefork", "TERM"),
        ("huey, processes", "INT"),
        ("huey, threads", "reload"),
        ("`multiprocessing.Pool`, spawn", "exit"),
        ("`Process.terminate()`, forkserver", "exit"),
        ("`os.fork()` and `os._exit()`, as RQ does", "exit"),
        ("`os.exec*()`, as bots do that start anew", "exit"),
    ],
)
def test_the_documented_arrives(tmp_path, name, end):
    with receiving() as sink:
        found = rows.run(rows.WAYS[name], end, sink, tmp_path, PATIENT="1")
    assert found == CELLS[name][end], (tmp_path / "output").read_text()


def test_the_table_tells_what_does_not_arrive(tmp_path):
    """So that a sink which counts anything would be noticed."""
    with receiving() as sink:
        way = rows.WAYS["a script"]
        found = rows.run(way, "TERM", sink, tmp_path, patience=1, FOOTFALL_EXIT_HOOKS="false")
    assert found == "0 spans, 0 counted"
