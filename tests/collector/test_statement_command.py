"""The command `footfall statement`: what it takes from the catalog and from the configuration."""

import secrets

import pytest
from click.testing import CliRunner

from footfall_collector.cli import main

CATALOG = "product: shop\nevents: {shop.order: {surface: web, feature: order}}\n"
CONFIG = """
exporters:
  postgres: {retention_days: 12, rollup_retention_days: 345}
  otlp/next: {endpoint: "https://next.example.org:4317"}
  otlp/unused: {endpoint: "https://unused.example.org:4317"}
service:
  pipelines: {traces: {exporters: [postgres, otlp/next]}}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs it in a folder with a catalog and a configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.yaml").write_text(CATALOG)
    (tmp_path / "collector.yaml").write_text(CONFIG)
    return lambda *arguments, **env: CliRunner(env=env).invoke(main, ["statement", *arguments])


def test_the_catalog_of_the_folder_is_enough(run):
    done = run()
    assert done.exit_code == 0
    assert done.output.startswith("What shop counts\n=")
    assert "shop.order" in done.output
    assert "days ago" not in done.output


def test_another_catalog_is_named_or_in_the_variable(run, tmp_path):
    (tmp_path / "bot.yaml").write_text(CATALOG.replace("shop", "bot"))
    assert "What bot counts" in run("--catalog", "bot.yaml").output
    assert "What bot counts" in run(TELEMETRY_CATALOG="bot.yaml").output
    assert "What shop and bot counts" in run(TELEMETRY_CATALOG="events.yaml:bot.yaml").output


def test_the_configuration_says_for_how_long_and_who_else(run):
    said = run("--config", "collector.yaml").output
    assert "more than 12 days ago" in said
    assert "more than 345 days ago" in said
    assert "passed on to otlp/next," in said
    assert "unused" not in said


def test_a_catalog_with_a_mistake_makes_no_statement(run, tmp_path):
    (tmp_path / "events.yaml").write_text(
        "product: shop\nevents: {X: {surface: web, feature: a}}\n"
    )
    done = run("--format", "html")
    assert done.exit_code == 2
    assert "<html" not in done.output
    assert run("--catalog", "none.yaml").exit_code == 2


SESSIONS = """
product: shop
attributes:
  session_id: {type: uuid, reviewed: random}
  installation_id: {type: uuid, hash: static}
events:
  shop.session: {surface: web, feature: session, actions: [start, end], attributes: [session_id]}
"""


def said_of(run, tmp_path, api, catalog=CATALOG):
    (tmp_path / "events.yaml").write_text(catalog)
    (tmp_path / "collector.yaml").write_text(f"{CONFIG}receivers: {{http_api: {api}}}\n")
    done = run("--config", "collector.yaml", TELEMETRY_HASH_SALT=secrets.token_hex(32))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize(
    ("api", "there"),
    [("{psr: {enabled: true}}", True), ("{}", False), ("{enabled: false, psr: {enabled: true}}", False)],
)  # fmt: skip
def test_what_is_kept_of_ratings_is_said_where_they_are_taken(run, tmp_path, api, there):
    said = said_of(run, tmp_path, api)
    for words in (
        "Ratings\n-------",
        "cut at 280 characters",
        "as a code",
        "holds for ratings as well",
    ):
        assert (words in said) == there
    assert ("Of a use nothing else" in said, "Nothing else is stored" in said) == (there, not there)
    assert "Sessions" not in said


def test_what_anybody_may_see_is_said_where_the_product_is_published(run, tmp_path):
    (tmp_path / "events.yaml").write_text(CATALOG)
    product = CATALOG.partition("product: ")[2].split()[0]
    for published, there in ((f"{{products: [{product}], k: 9}}", True), ("{k: 9}", False)):
        text = CONFIG.replace(
            "retention_days: 12", f"published: {published}, retention_days: 12", 1
        )
        (tmp_path / "collector.yaml").write_text(text)
        said = run("--config", "collector.yaml").output
        assert ("What anybody may see" in said) == there
        assert ("at least 9 different groups" in " ".join(said.split())) == there


RECEIPTS = """
product: shop
attributes:
  receipt_id: {type: string, hash: static}
  mine: {type: string, hash: static}
events:
  shop.order: {surface: web, feature: order, attributes: [NAME]}
"""
HEADING = "What is kept of you, and how to have it erased\n-------"


@pytest.mark.requirement("G7")
def test_what_a_receipt_is_is_said_where_there_are_any(run, tmp_path):
    with_receipts = RECEIPTS.replace("NAME", "receipt_id")
    said = said_of(run, tmp_path, "{}", with_receipts)
    assert HEADING in said
    assert "Whoever has the token is told" in " ".join(said.split())
    assert "passed on to otlp/next before: no token is known there" in " ".join(said.split())
    assert HEADING not in said_of(run, tmp_path, "{}", RECEIPTS.replace("NAME", "mine"))
    assert HEADING not in said_of(run, tmp_path, "{enabled: false}", with_receipts)
    named = "{attributes: {receipt: mine}}"
    assert HEADING in said_of(run, tmp_path, named, RECEIPTS.replace("NAME", "mine"))


def test_what_is_kept_of_sessions_is_said_where_there_are_any(run, tmp_path):
    said = said_of(run, tmp_path, "{psr: {enabled: true}}", SESSIONS)
    assert "Sessions\n--------" in said
    assert "random id" in said
    assert "holds for ratings and sessions as well" in said
    assert "installation" not in said
    kept = SESSIONS.replace("[session_id]", "[session_id, installation_id]")
    assert "installation is forgotten" in said_of(run, tmp_path, "{}", kept)
    assert "Sessions\n--------" not in said_of(run, tmp_path, "{enabled: false}", kept)
